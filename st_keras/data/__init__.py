"""Records, decoding, augmentation and the input pipeline, with plain arguments."""
