"""What a checkpoint's calibration is fitted on, its parts, and how well its intervals hold."""
