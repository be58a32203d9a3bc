"""Losses on plain tensors; each returns a Ratio, divided over all replicas at once."""
