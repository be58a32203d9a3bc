"""Compiles a config's step with a TPU's real compiler, without a TPU."""
