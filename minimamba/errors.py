"""The one error about what was handed over, and the hint that goes with a misspelt name."""

import difflib


class InputError(ValueError):
    """Something the user handed over cannot be used; the message is one sentence that says why.

    The command line prints the sentence and leaves with status 2; a programmer may catch it as a
    `ValueError`. Ops raise plain `ValueError` and `TypeError` about their arguments.
    """


def nearest(name, known):
    """Return the hint behind an unknown name.

    Examples
    --------
    >>> nearest("stat", ["state", "width"]), nearest("colour", ["state", "width"])
    ("did you mean 'state'?", 'known are state, width')
    """
    near = difflib.get_close_matches(name, known, 1)
    more = ", ..." if len(known) > 12 else ""
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known[:12])}{more}"
