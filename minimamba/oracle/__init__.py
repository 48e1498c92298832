"""Is this implementation right? The truth, the tolerance, and the checks of other people's code."""
