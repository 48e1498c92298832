"""From an interaction log to a trained, evaluated, served recommender."""
