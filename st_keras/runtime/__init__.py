"""Devices, checkpoints and failures."""
