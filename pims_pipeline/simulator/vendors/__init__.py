"""The vendors that the simulator plays, one folder each."""
