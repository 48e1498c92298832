"""The grader lets right answers pass, and names what is wrong with the others."""

import importlib
import pkgutil
import re

import check
import numpy as np
import pytest
from check.difference import difference, first_difference
from check.grade import Exercise, exercise, grade

EXERCISES = [
    pytest.param(found, id=f"{module.name}-{name}")
    for module in pkgutil.iter_modules(check.__path__)
    for name, found in vars(importlib.import_module(f"check.{module.name}")).items()
    if isinstance(found, Exercise)
]


def draw(rng):
    return rng.normal(size=(2, 5)), rng.normal(size=(2, 5))


DOUBLE = exercise(
    "Difference",
    lambda a, b: a - b,
    draw,
    "subtract",
    "the two are swapped",
    lambda a, b: b - a,
    "b is added",
    lambda a, b: a + b,
)


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
        (lambda a, b: (a - b, a), "the number of outputs is 2, not 1"),
        (lambda a, b: (a - b, (a, [b])), "what comes first is right"),
        (lambda a, b: list((a - b).T), "shape (5, 2) where (2, 5) is wanted"),
        (lambda a, b: (a - b).astype(np.float32), "Hint: keep the float64"),
        (
            lambda a, b: a - b + 0j,
            "dtype complex128 where float64 is wanted.\n  Hint: take `.real`",
        ),
        (lambda a, b: {"y": a - b}, "not numbers where an array of shape (2, 5) is wanted"),
        (lambda a, b: (), "the number of outputs is 0, not 1"),
        (lambda a, b: [a, [b]], "not numbers where an array of shape (2, 5) is wanted"),
        (lambda a, b: iter(a - b), "not numbers where an array of shape (2, 5) is wanted"),
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


def test_of_one_output_no_number_is_told():
    assert "output 1" not in str(grade(lambda a, b: a + b, DOUBLE))


def test_a_difference_of_counts_does_not_wrap_around_and_a_zero_is_called_one():
    few, many = np.array([0, 1], np.uint8), np.array([1, 1], np.uint8)
    assert difference(many, few, 1) is None and difference(few, many, 1) is None
    assert difference(many, few, 0.5) == "at index [0] the value must be zero and is 1."
    assert first_difference([few, few], [few], [0]) == (0, "the number of outputs is 2, not 1.")


def test_two_numbers_are_shown_with_the_digits_that_tell_them_apart():
    message = str(grade(lambda a, b: (a - b) * (1 + 1e-11), DOUBLE))
    one, other = re.search(r"you have (\S+) and (\S+) is wanted", message).groups()
    assert one != other


PARTS = DOUBLE._replace(
    title="Parts", reference=lambda a, b: (a + b, a - b), hint="add and subtract"
)


@pytest.mark.parametrize(
    ("yours", "words"),
    [
        (lambda a, b: (a - b, a + b), "right but for their order"),
        (lambda a, b: (a + b, b - a), "output 2: at index"),
        (lambda a, b: (a + b, b - a), "right but for its sign"),
        (lambda a, b: (a + b, None), "output 2: not numbers"),
        (lambda a, b: (a + b, "a - b"), "output 2: not numbers"),
        (lambda a, b: a + b, "the number of outputs is 1, not 2.\n  Hint: add and"),
    ],
)
def test_one_of_several_outputs_is_named(yours, words):
    assert words in str(grade(yours, PARTS))


def test_lists_are_arrays():
    assert grade(lambda a, b: (a - b).tolist(), DOUBLE)
    assert grade(lambda a, b: [(a + b).tolist(), a - b], PARTS)


def test_a_right_answer_passes_whatever_its_order_of_rounding():
    assert grade(lambda a, b: -(b - a), DOUBLE)


BOTH = exercise(
    "Difference and sum",
    lambda a, b: (a - b, a + b),
    draw,
    "subtract, add",
    "the difference is wrong",
    lambda a, b: (b - a, a + b),
    "the sum is wrong",
    lambda a, b: (a - b, a - 2 * b),
)


@pytest.mark.parametrize(
    ("yours", "words"),
    [
        (lambda a, b: (b - a, a - 2 * b), "the difference is wrong"),
        (lambda a, b: (a - b, a - 2 * b), "the sum is wrong"),
        (lambda a, b: (a - b + 0j, a + b), "Hint: take `.real`"),
        (lambda a, b: (3 * a, -a - b), "Hint: subtract, add"),
    ],
)
def test_two_mistakes_in_two_outputs_get_their_hints_in_turn(yours, words):
    assert words in str(grade(yours, BOTH))


@pytest.mark.parametrize("number", [1.5, np.float64(1.5), 3 / 2 + 0j, np.array(1.5)])
def test_a_single_number_may_come_in_any_wrapping(number):
    asked = exercise("Number", lambda x: 1.5, lambda rng: (rng.random(),), "count")
    assert grade(lambda x: number, asked)
    assert not grade(lambda x: "1.5", asked)
    assert not grade(lambda x: np.float32(1.5000001), asked)


def test_arguments_that_grow_are_seen():
    asked = exercise("Length", lambda x: len(x), lambda rng: ([1.0, 2.0],), "count")
    assert "changed its arguments" in str(grade(lambda x: x.append(3.0) or 2, asked))


@pytest.mark.parametrize("asked", EXERCISES)
def test_an_exercise_takes_its_reference(asked):
    assert asked(asked.reference), asked(asked.reference)


@pytest.mark.parametrize("asked", EXERCISES)
def test_an_exercise_has_a_mistake_and_knows_each_by_its_hint(asked):
    assert asked.mistakes, "which mistake is the commonest?"
    for mistake in asked.mistakes:
        verdict = asked(mistake.wrong)
        assert not verdict, mistake.hint
        assert f"Hint: {mistake.hint}" in str(verdict), str(verdict)
