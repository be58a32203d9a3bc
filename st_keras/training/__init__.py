"""The loop that trains teachers and students alike."""
