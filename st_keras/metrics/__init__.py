"""Numbers a model is judged by."""
