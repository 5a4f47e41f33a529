"""How good labels are: panoptic quality and class-agnostic IoU."""
