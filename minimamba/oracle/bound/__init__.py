"""How far a right implementation may be from the truth, and the judgement."""
