"""Checks for the exercises of the course: each grades one function that the reader wrote.

Every module here belongs to one tutorial and holds one exercise for each of its exercises:

>>> from check import recurrence as check
>>> check.unroll(lambda a, b, h0: a)  # doctest: +ELLIPSIS
✗ The recurrence, one step at a time: ...
"""
