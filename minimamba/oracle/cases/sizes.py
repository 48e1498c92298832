"""How large a case is: mostly small and odd, sometimes long, wide or empty.

Small cases are cheap, and show most mistakes. But a chunk of 256 steps hides a wrong carry up to
length 256, a block of 16 states what happens to the 17th, a warp of 32 channels the 33rd.
"""

LENGTHS = (1, 1, 2, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65)
LONG = tuple(2**k + i for k in range(7, 12) for i in (-1, 0, 1))
CHANNELS = (16, 33, 64, 65, 128)
STATES = (8, 9, 16, 17, 33, 64, 128, 256)
ROWS = (4, 5, 8)
SHORT = (1, 2, 3, 5, 9)
CHANCES = {"long": 0.03, "wide": 0.12, "no steps": 0.01, "no rows": 0.01}
DEEP = {"long": 0.5, "wide": 0.2, "no steps": 0.01, "no rows": 0.01}


def draw_sizes(rng, capabilities, deep=False):
    """Return the number of rows, steps, channels and states of a case.

    The capabilities "long", "wide", "no steps" and "no rows" allow such a kind, which is returned
    beside the sizes, or "". Half of the deep cases are long.

    Examples
    --------
    >>> draw_sizes(np.random.default_rng(0), set())
    ({'b': 3, 'l': 16, 'd': 4, 'n': 2}, '')
    """
    sizes = {
        "b": int(rng.choice([1, 2, 3])),
        "l": int(rng.choice(LENGTHS)),
        "d": int(rng.choice([1, 2, 4, 6])),
        "n": int(rng.choice([1, 2, 3, 5])),
    }
    chances = {k: v for k, v in (DEEP if deep else CHANCES).items() if k in capabilities}
    plain = 1 - sum(chances.values())
    kind = str(rng.choice(["", *chances], p=[plain, *chances.values()]))
    return sizes | (KINDS[kind](rng, sizes) if kind else {}), kind


def _long(rng, sizes):
    l = int(rng.choice(LONG))
    return {"b": 1, "l": l, "d": min(sizes["d"], 2), "n": min(sizes["n"], 2)}


def _wide(rng, sizes):
    """One axis of three is wide, the others small: the product stays some thousand numbers."""
    axis = str(rng.choice(["b", "d", "n"]))
    wide = int(rng.choice({"b": ROWS, "d": CHANNELS, "n": STATES}[axis]))
    return {"l": int(rng.choice(SHORT)), axis: wide}


KINDS = {
    "long": _long,
    "wide": _wide,
    "no steps": lambda rng, sizes: {"l": 0},
    "no rows": lambda rng, sizes: {"b": 0},
}
