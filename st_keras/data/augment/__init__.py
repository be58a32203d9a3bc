"""Changes of training images that move boxes along."""
