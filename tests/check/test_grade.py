"""The grader lets right answers pass, and names what is wrong with the others."""

import importlib
import pkgutil

import numpy as np
import pytest

from minimamba import check
from minimamba.check import Exercise, Mistake, grade

EXERCISES = [
    pytest.param(exercise, id=f"{module.name}-{name}")
    for module in pkgutil.iter_modules(check.__path__)
    for name, exercise in vars(importlib.import_module(f"minimamba.check.{module.name}")).items()
    if isinstance(exercise, Exercise)
]


def draw(rng):
    return rng.normal(size=(2, 5)), rng.normal(size=(2, 5))


DOUBLE = Exercise("Difference", lambda a, b: a - b, draw, "subtract", (
    Mistake("the two are swapped", lambda a, b: b - a),
    Mistake("b is added", lambda a, b: a + b),
))  # fmt: skip


def unwritten(*_):
    raise NotImplementedError


def spoil(a, b):
    a -= b
    return a


@pytest.mark.parametrize(
    ("yours", "words"),
    [
        (unwritten, "not written yet.\n  Hint: subtract"),
        (lambda a, b: None, "returned nothing"),
        (lambda a, b: (a - b)[0], "shape (5,) where (2, 5) is wanted"),
        (lambda a, b: (a - b).astype(np.float32), "dtype float32 where float64"),
        (lambda a, b: (a - b) / np.zeros_like(a), "10 of 10 values are not finite"),
        (lambda a, b: (a - b, a), "gave 2 arrays where 1 are wanted"),
        (lambda a, b: a + b, "Hint: b is added"),
        (lambda a, b: b - a, "Hint: the two are swapped"),
        (lambda a, b: 2 * (a - b), "Hint: the answer is twice the right one"),
        (lambda a, b: np.roll(a - b, 1, axis=1), "Hint: the answer comes one step late"),
        (lambda a, b: (a - b)[:, ::-1], "Hint: the answer runs backward in time"),
        (lambda a, b: (a - b) * (1 + 1e-9), "Hint: subtract"),
        (lambda a, b: a @ b, "stopped with ValueError"),
        (spoil, "changed its arguments"),
    ],
)
def test_a_wrong_answer_is_named(yours, words):
    verdict = grade(yours, DOUBLE)
    assert not verdict
    assert words in str(verdict)


def test_the_worst_index_is_shown():
    def almost(a, b):
        out = a - b
        out[1, 3] += 1e-6
        return out

    assert "at index [1, 3] you have" in str(grade(almost, DOUBLE))


def test_a_right_answer_passes_whatever_its_order_of_rounding():
    assert grade(lambda a, b: -(b - a), DOUBLE)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_exercise_takes_its_reference(exercise):
    assert exercise(exercise.reference), exercise(exercise.reference)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_exercise_has_a_mistake_and_knows_each_by_its_hint(exercise):
    assert exercise.mistakes, "which mistake is the commonest?"
    for mistake in exercise.mistakes:
        verdict = exercise(mistake.wrong)
        assert not verdict, mistake.hint
        assert f"Hint: {mistake.hint}" in str(verdict), str(verdict)
