"""Writers of data sets: frames of any data set in the layout of nuScenes, KITTI object or a plain folder."""
