"""What a TPU would make of a config, by its real compiler, without a TPU."""
