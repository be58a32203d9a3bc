"""Arithmetic on boxes and pixels, with plain arguments."""
