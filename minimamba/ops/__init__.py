"""The equations: every op is a pair of pure functions, forward and hand-derived backward."""
