"""What is right, in float64 and beyond; nothing here imports the ops that are judged."""
