"""Checks of a data set before labelling: each rule looks for one kind of mistake that labels would silently inherit."""
