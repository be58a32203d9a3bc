"""Measurements next to tf-models-official: both in one run, on the same data."""
