"""What the authors' TF1 code calls the variables of each part of a model."""
