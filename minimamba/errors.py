"""The one error that files, run folders and the command line raise about what they were given."""


class InputError(ValueError):
    """Something the user handed over cannot be used; the message is one sentence that says why.

    The command line prints the sentence and leaves with status 2; a programmer may catch it as a
    `ValueError`. Ops raise plain `ValueError` and `TypeError` about their arguments.
    """
