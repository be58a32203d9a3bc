"""The checks made before a run, and an estimate of what the run will cost."""
