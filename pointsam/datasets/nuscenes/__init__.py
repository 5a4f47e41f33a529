"""nuScenes and all data sets in its table format."""
