"""What an op says when its arguments do not fit together: one sentence, naming the argument."""

from contextlib import nullcontext


def check_floating(arrays, kinds="f"):
    """Raise TypeError unless all of `arrays` (name -> array or None) are floating and of one dtype.

    `kinds` is "f" for real ops and "fc" for those that accept complex numbers too.
    """
    given = {name: x for name, x in arrays.items() if x is not None}
    wanted = "real floating" if kinds == "f" else "floating or complex"
    for name, x in given.items():
        if not hasattr(x, "dtype"):
            raise TypeError(f"{name} is a {type(x).__name__}, expected an array")
        if x.dtype.kind not in kinds:
            raise TypeError(f"{name} has dtype {x.dtype}, expected {wanted} numbers")
    first = next(iter(given))
    for name, x in given.items():
        if x.dtype != given[first].dtype:
            raise TypeError(
                f"{name} has dtype {x.dtype} while {first} has {given[first].dtype}; "
                "cast one of them, nothing is cast silently"
            )


def check_shapes(arrays, letters, sources):
    """Raise ValueError unless every array has the shape that its `letters` spell.

    `letters` maps a name to one letter an axis ("ble"); the arrays named in `sources`, in that
    order, give the letters their sizes. Returns the sizes, a dict from letter to number.
    """
    sizes = {}
    for name in sources:
        x = arrays[name]
        if x.ndim != len(letters[name]):
            raise ValueError(f"{name} has shape {x.shape}, expected {_axes(letters[name])}")
        for letter, size in zip(letters[name], x.shape, strict=True):
            sizes.setdefault(letter, size)
    origin = " and ".join(f"{name} {arrays[name].shape}" for name in sources)
    for name, axes in letters.items():
        x = arrays.get(name)
        if x is None:
            continue
        wanted = tuple(sizes[letter] for letter in axes)
        if x.shape != wanted:
            raise ValueError(
                f"{name} has shape {x.shape}, expected {_axes(axes)} = {wanted} to fit {origin}"
            )
    return sizes


def overflow_is_inf(xp):
    """Return a context in which overflow gives inf, as IEEE 754 has it, and no warning.

    A system that grows (A > 0) may overflow, and inf - inf is then nan: the result itself says so.
    """
    errstate = getattr(xp, "errstate", None)  # a GPU has no floating-point flags to warn about
    return nullcontext() if errstate is None else errstate(over="ignore", invalid="ignore")


def _axes(letters):
    return "(" + ", ".join(letters) + ("," if len(letters) == 1 else "") + ")"
