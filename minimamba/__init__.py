"""Selective state space models from scratch, forward and backward, in NumPy and CuPy."""
