"""What is new in arXiv:2006.06882."""
