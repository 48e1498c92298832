"""Ops composed into blocks, still pairs of pure functions."""
