"""Metamorphic relations: what must hold between two calls of any right implementation.

Each is a function of the target, a case, its judge, the result of the plain call and a generator,
and returns None or one sentence; `table` lists them. None needs the truth: tolerances are those of
the judge, and two calls may differ by the sum of both of theirs.
"""
