"""What happens when a step is not finite: go back, keep it, and find out why."""
