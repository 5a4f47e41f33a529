"""The steps of the method, one pure function per file, in the order of `pointsam.stages.frame`."""
