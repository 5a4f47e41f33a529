"""KITTI: object detection, and SemanticKITTI on the odometry sequences."""
