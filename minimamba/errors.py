"""The one error about what was handed over, and the hint that goes with a misspelt name."""

import difflib


class InputError(ValueError):
    """Something the user handed over cannot be used; the message is one sentence that says why.

    The command line prints the sentence and leaves with status 2; a programmer may catch it as a
    `ValueError`. Ops raise plain `ValueError` and `TypeError` about their arguments.
    """


def nearest(name, known):
    """Return a hint: the nearest known name, or all of them.

    Examples
    --------
    >>> nearest("selectiv_scan", ["recurrence", "selective_scan"])
    "did you mean 'selective_scan'?"
    """
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
