"""Times and memory on a CPU, beside peers."""
