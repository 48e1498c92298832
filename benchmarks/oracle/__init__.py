"""What the oracle's bounds and verdicts are worth."""
