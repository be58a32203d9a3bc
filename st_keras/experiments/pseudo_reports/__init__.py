"""How good pseudo labels are: what is measured, and its page."""
