"""What joins the features of a backbone."""
