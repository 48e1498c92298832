"""Somebody's function: found, called, in its own framework."""
