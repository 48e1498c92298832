"""Grade a reader's function against a reference, and say what the commonest mistake would be."""

import copy
from collections.abc import Callable
from itertools import permutations
from typing import NamedTuple

import numpy as np

SEEDS = range(5)
NUMBERS = "biufc"  # the kinds of dtype that hold numbers
OPERATIONS = 64  # roundings granted on the longest path through an exercise


class Mistake(NamedTuple):
    """A wrong version of the reference, and the sentence that helps whoever wrote it."""

    hint: str
    wrong: Callable


class Verdict(NamedTuple):
    """What a check answers: true when the function is right; its text says what to look at."""

    passed: bool
    title: str
    message: str

    def __bool__(self):
        return self.passed

    def __repr__(self):
        return f"{'✓' if self.passed else '✗'} {self.title}: {self.message}"


class Exercise(NamedTuple):
    """One exercise: call it with your function.

    `draw(rng)` makes the arguments of one call; `hint` says how to begin; `bound(*arguments)`
    gives the allowed difference of each output where the oracle knows it, and where it is None
    the difference that roundings of the inputs make decides.
    """

    title: str
    reference: Callable
    draw: Callable
    hint: str
    mistakes: tuple = ()
    bound: Callable | None = None

    def __call__(self, yours):
        return grade(yours, self)


def grade(yours, exercise):
    """Return the `Verdict` on `yours`: shape, dtype, finite, zeros, then the worst value.

    Parameters
    ----------
    yours : callable
        The reader's function, or a plain value where the exercise asks for a number.
    exercise : Exercise
        What is asked.

    Returns
    -------
    Verdict
        It never raises: a notebook of unwritten exercises runs to its end.

    Examples
    --------
    >>> double = Exercise("Twice", lambda x: 2 * x, lambda rng: (rng.normal(size=3),), "Add.")
    >>> grade(lambda x: x + x, double)
    ✓ Twice: right on 5 inputs.
    >>> grade(lambda x: -2 * x, double)  # doctest: +ELLIPSIS
    ✗ Twice: at index [2] you have ...
      Hint: the answer is right but for its sign.
    """
    function = yours if callable(yours) else lambda *arguments: yours
    for seed in SEEDS:
        arguments = exercise.draw(np.random.default_rng(seed))
        complaint = _complaint(function, arguments, exercise)
        if complaint:
            return Verdict(False, exercise.title, complaint)
    return Verdict(True, exercise.title, f"right on {len(SEEDS)} inputs.")


def _complaint(function, arguments, exercise):
    """Return what is wrong with one call, or None."""
    given = copy.deepcopy(arguments)
    try:
        with np.errstate(all="ignore"):
            answer = function(*given)
    except NotImplementedError:
        return f"not written yet.\n  Hint: {exercise.hint}"
    except Exception as error:  # whatever the reader's code raises is the answer to show
        return f"stopped with {type(error).__name__}: {error}\n  Hint: {exercise.hint}"
    if answer is None:
        return f"returned nothing; is the `return` missing?\n  Hint: {exercise.hint}"
    if not _same(given, arguments):
        return "changed its arguments in place.\n  Hint: work on a copy."
    wanted = _outputs(exercise.reference(*arguments))
    got = _outputs([answer] if len(wanted) == 1 and isinstance(answer, list) else answer)
    allowed = _allowed(exercise, arguments, wanted)
    difference = _difference(got, wanted, allowed)
    if difference is None:
        return None
    hint = _diagnose(got, wanted, allowed, arguments, exercise)
    return f"{difference}\n  Hint: {hint}"


def _difference(got, wanted, allowed):
    """Compare in the order in which a reader should look: shape, dtype, finite, pattern, value."""
    if len(got) != len(wanted):
        return f"the number of outputs is {len(got)}, not {len(wanted)}."
    for number, (g, w, tolerance) in enumerate(zip(got, wanted, allowed, strict=True)):
        name = f"output {number + 1}: " if len(wanted) > 1 else ""
        if g.dtype.kind not in NUMBERS:
            return f"{name}not numbers where an array of shape {w.shape} is wanted."
        if g.shape != w.shape:
            return f"{name}shape {g.shape} where {w.shape} is wanted."
        if g.ndim and g.dtype != w.dtype:
            return f"{name}dtype {g.dtype} where {w.dtype} is wanted."
        if not np.isfinite(g).all():
            return f"{name}{np.size(g) - np.isfinite(g).sum()} of {g.size} values are not finite."
        excess = np.abs(g - w) - tolerance
        if (excess <= 0).all():
            continue
        worst = np.unravel_index(np.argmax(excess), g.shape)
        at = f"at index [{', '.join(map(str, worst))}] " if worst else ""
        if w[worst] == 0:
            return f"{name}{at}the value must be zero and is {g[worst]:.6g}."
        return f"{name}{at}you have {_apart(g[worst], w[worst])} is wanted."
    return None


def _apart(one, other):
    """Write two different numbers with as many digits as it takes to see that they differ."""
    pairs = [[f"{x:.{digits}g}" for x in (one, other)] for digits in (6, 10, 14, 17)]
    return " and ".join(next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1]))


def _diagnose(got, wanted, allowed, arguments, exercise):
    """Return the hint of the mistake that gives the reader's numbers, or the exercise's own."""
    for mistake in exercise.mistakes:
        with np.errstate(all="ignore"):
            wrong = _outputs(mistake.wrong(*copy.deepcopy(arguments)))
        if _match(got, wrong, allowed):
            return mistake.hint
    if len(got) != len(wanted):
        first = _difference(got[: len(wanted)], wanted, allowed) is None
        return "what comes first is right; return nothing else." if first else exercise.hint
    for order in permutations(range(len(got))):
        if _difference([got[i] for i in order], wanted, allowed) is None:
            return "the outputs are right but for their order."
    for hint, change in COMMON:
        try:
            if all(map(_same_but_for(change), got, wanted, allowed)):
                return hint
        except (ValueError, IndexError):
            continue
    return exercise.hint


def _same_but_for(change):
    """Return a test of one output: right, or right but for a change."""
    return lambda g, w, tolerance: (
        _difference([g], [w], [tolerance]) is None
        or _difference([g], [change(w)], [tolerance]) is None
    )


COMMON = (
    ("the answer is right but for its sign.", lambda w: -w),
    ("the answer is conjugated; which of the two factors carries the conjugate?", np.conj),
    ("the answer is half of the right one; is a term, or a bin, counted once?", lambda w: w / 2),
    ("the answer is twice the right one; is a term counted twice?", lambda w: w * 2),
    ("the answer runs backward in time; a flip is missing.", lambda w: np.flip(w, axis=1)),
    ("the answer comes one step early.", lambda w: np.roll(w, -1, axis=1)),
    ("the answer comes one step late.", lambda w: np.roll(w, 1, axis=1)),
)


def _outputs(answer):
    """Return the arrays of an answer as a list."""
    return [_as_array(a) for a in (answer if isinstance(answer, tuple | list) else (answer,))]


def _as_array(value):
    """Return an array, of objects where numbers cannot be made of the value."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        return np.asarray(None)


def _match(got, wrong, allowed):
    """Whether an answer has the numbers of a known mistake, infinities included."""
    if [g.shape for g in got] != [w.shape for w in wrong] or len(got) != len(allowed):
        return False
    return all(
        g.dtype.kind in NUMBERS
        and np.isclose(g, w, rtol=1e-12, atol=np.max(2 * a, initial=0.0), equal_nan=True).all()
        for g, w, a in zip(got, wrong, allowed, strict=True)
    )


def _allowed(exercise, arguments, wanted):
    """Return how far each output may be off: the oracle's bound, or what input roundings do.

    Moving every input by a relative step s moves the output by about s times its condition; one
    rounding is a move by eps. The step here is the root of eps, so that the differences are not
    themselves lost in rounding.
    """
    if exercise.bound is not None:
        return tuple(exercise.bound(*arguments))
    eps = max((np.finfo(w.dtype).eps for w in wanted if w.dtype.kind in "fc"), default=0.0)
    step = np.sqrt(eps)
    rng, moved = np.random.default_rng(0), [0.0] * len(wanted)
    for _ in range(3):
        again = _outputs(exercise.reference(*_nudge(arguments, step, rng)))
        changes = [
            float(np.abs(b - a).max(initial=0.0)) for a, b in zip(again, wanted, strict=True)
        ]
        moved = [max(pair) for pair in zip(moved, changes, strict=True)]
    sizes = [float(np.abs(w).max(initial=0.0)) for w in wanted]
    return tuple(
        OPERATIONS * eps * (size + (move / step if step else 0.0))
        for size, move in zip(sizes, moved, strict=True)
    )


def _nudge(value, step, rng):
    """Return the arguments with every real or complex array moved by a relative `step`."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        noise = rng.choice([-1.0, 1.0], size=value.shape).astype(value.real.dtype)
        return value * (1 + value.dtype.type(step) * noise)
    if isinstance(value, tuple):
        parts = [_nudge(v, step, rng) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def _same(one, other):
    """Whether two trees of arguments hold equal numbers."""
    if isinstance(one, tuple | list):
        return all(_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return True
