"""Pages of reference, made from the code they describe."""
