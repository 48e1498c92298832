"""Is this implementation right?"""
