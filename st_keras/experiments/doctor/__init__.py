"""What is looked at before a run: every check, and what the run will cost."""
