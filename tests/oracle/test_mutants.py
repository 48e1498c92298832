"""The oracle kills every mutant of a correct implementation, and not the implementation."""

import pytest

from .mutants.kill import OPTIONS, RIGHT, edits, first_kill, mutate, target_of


@pytest.mark.parametrize("op", OPTIONS)
def test_the_original_survives(op):
    assert first_kill(target_of(RIGHT, op), cases=25) is None


@pytest.mark.parametrize("name, op, old, new", edits(), ids=lambda x: x if "\n" not in x else "")
@pytest.mark.filterwarnings("ignore")
def test_every_mutant_dies(name, op, old, new):
    killed = first_kill(target_of(mutate(old, new), op))
    assert killed is not None, f"{name} survived"


def test_there_are_enough_of_them():
    assert len({(old, new) for _, _, old, new in edits()}) >= 60
