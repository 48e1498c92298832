"""Grade a reader's function against a reference, and say what the commonest mistake would be."""

import copy
from collections.abc import Callable
from itertools import permutations
from typing import NamedTuple

import numpy as np
from check.difference import NUMBERS, difference, first_difference, fits, outputs

SEEDS = range(5)
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


def exercise(title, reference, draw, hint, *mistakes, bound=None):
    """Return an `Exercise`; its mistakes are given flat, in turn a hint and a wrong version."""
    pairs = zip(mistakes[::2], mistakes[1::2], strict=True)
    return Exercise(title, reference, draw, hint, tuple(Mistake(*p) for p in pairs), bound)


def grade(yours, asked):
    """Return the `Verdict` on `yours`: shape, dtype, finite, zeros, then the worst value.

    Parameters
    ----------
    yours : callable
        The reader's function, or a plain value where the exercise asks for a number.
    asked : Exercise
        What is asked.

    Returns
    -------
    Verdict
        It never raises: a notebook of unwritten exercises runs to its end.

    Examples
    --------
    >>> double = exercise("Twice", lambda x: 2 * x, lambda rng: (rng.normal(size=3),), "Add.")
    >>> grade(lambda x: x + x, double)
    ✓ Twice: right on 5 inputs.
    >>> grade(lambda x: -2 * x, double)  # doctest: +ELLIPSIS
    ✗ Twice: at index [2] you have ...
      Hint: the answer is right but for its sign.
    """
    function = yours if callable(yours) else lambda *arguments: yours
    for seed in SEEDS:
        arguments = asked.draw(np.random.default_rng(seed))
        complaint = _complaint(function, arguments, asked)
        if complaint:
            return Verdict(False, asked.title, complaint)
    return Verdict(True, asked.title, f"right on {len(SEEDS)} inputs.")


def _complaint(function, arguments, asked):
    """Return what is wrong with one call, or None."""
    given = copy.deepcopy(arguments)
    try:
        with np.errstate(all="ignore"):
            answer = function(*given)
    except NotImplementedError:
        return f"not written yet.\n  Hint: {asked.hint}"
    except Exception as error:  # whatever the reader's code raises is the answer to show
        return f"stopped with {_said(error)}\n  Hint: {asked.hint}"
    if answer is None:
        return f"returned nothing; is the `return` missing?\n  Hint: {asked.hint}"
    if not _same(given, arguments):
        return "changed its arguments in place.\n  Hint: work on a copy."
    wanted = outputs(asked.reference(*arguments))
    got = outputs([answer] if len(wanted) == 1 and isinstance(answer, list) else answer)
    allowed = _allowed(asked, arguments, wanted)
    found = first_difference(got, wanted, allowed)
    if found is None:
        return None
    hint = _diagnose(found[0], got, wanted, allowed, arguments, asked)
    return f"{found[1]}\n  Hint: {hint}"


def _said(error):
    """Return the kind of an error and its first line."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _diagnose(first, got, wanted, allowed, arguments, asked):
    """Return the hint of the mistake that gives the reader's numbers, or the exercise's own.

    A mistake that explains every output comes before one that explains the first wrong one, so
    that of two mistakes in two outputs each gets its hint in turn.
    """
    if len(got) != len(wanted):
        extra = first_difference(got[: len(wanted)], wanted, allowed) is None
        return "what comes first is right; return nothing else." if extra else asked.hint
    g, w, tolerance = got[first], wanted[first], allowed[first]
    partly = []
    for wrong, hint in _made(asked.mistakes, arguments, wanted, allowed):
        if all(map(_match, got, wrong, allowed)):
            return hint
        if _match(g, wrong[first], tolerance) and difference(wrong[first], w, tolerance):
            partly.append(hint)
    return (*partly, *_common(got, wanted, allowed, first), asked.hint)[0]


def _made(mistakes, arguments, wanted, allowed):
    """Yield (outputs, hint) of every mistake that these arguments tell from what is wanted."""
    for mistake in mistakes:
        with np.errstate(all="ignore"):
            wrong = outputs(mistake.wrong(*copy.deepcopy(arguments)))
        if len(wrong) == len(wanted) and first_difference(wrong, wanted, allowed):
            yield wrong, mistake.hint


def _common(got, wanted, allowed, first):
    """Yield the hints of mistakes that can be made in any exercise and give these numbers."""
    g, w, tolerance = got[first], wanted[first], allowed[first]
    if g.shape == w.shape and g.dtype.kind in "fc" and not fits(g, w):
        yield "take `.real`." if g.dtype.kind == "c" else "keep the float64 of the arguments."
    for order in permutations(range(len(got))):
        if first_difference([got[i] for i in order], wanted, allowed) is None:
            yield "the outputs are right but for their order."
    for hint, change in COMMON:
        try:
            if difference(g, change(w), tolerance) is None:
                yield hint
        except (ValueError, IndexError):
            continue


COMMON = (
    ("the answer is right but for its sign.", lambda w: -w),
    ("the answer is conjugated; which of the two factors carries the conjugate?", np.conj),
    ("the answer is half of the right one; is a term, or a bin, counted once?", lambda w: w / 2),
    ("the answer is twice the right one; is a term counted twice?", lambda w: w * 2),
    ("the answer runs backward in time; a flip is missing.", lambda w: np.flip(w, axis=1)),
    ("the answer comes one step early.", lambda w: np.roll(w, -1, axis=1)),
    ("the answer comes one step late.", lambda w: np.roll(w, 1, axis=1)),
    ("the answer is transposed.", lambda w: np.swapaxes(w, -1, -2)),
)


def _match(g, wrong, tolerance):
    """Whether an output has the numbers of a known mistake, infinities included."""
    if g.shape != wrong.shape or g.dtype.kind not in NUMBERS:
        return False
    limit = np.max(2 * np.asarray(tolerance), initial=0.0)
    return bool(np.isclose(g, wrong, rtol=1e-12, atol=limit, equal_nan=True).all())


def _allowed(asked, arguments, wanted):
    """Return how far each output may be off: the oracle's bound, or what input roundings do.

    Moving every input by a relative step s moves the output by about s times its condition; one
    rounding is a move by eps. The step here is the root of eps, so that the differences are not
    themselves lost in rounding.
    """
    if asked.bound is not None:
        return tuple(asked.bound(*arguments))
    eps = max((np.finfo(w.dtype).eps for w in wanted if w.dtype.kind in "fc"), default=0.0)
    step = np.sqrt(eps)
    rng, moved = np.random.default_rng(0), [0.0] * len(wanted)
    for _ in range(3):
        again = outputs(asked.reference(*_nudge(arguments, step, rng)))
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
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return True
