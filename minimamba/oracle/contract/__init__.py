"""What an operation takes and gives back, and one case of it."""
