"""Equations are defined once, in a notebook, and cited only where they exist: without Sphinx."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import equations  # noqa: E402


def test_every_cited_equation_exists():
    wrong = [f"{path}: Eq. ({number})" for path, number in equations.unknown()]
    assert wrong == []


def test_no_equation_is_defined_twice():
    assert equations.definitions(), "no equation found"
    assert equations.doubled() == []


def test_an_equation_carries_the_number_of_its_notebook():
    wrong = [
        (number, path.name)
        for number, path in equations.definitions().items()
        if int(number.split(".")[0]) != int(path.name[:2])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("by Eq. (3.1), and so on", ["3.1"]),
        ("Eqs. (7.6), (7.7) and (7.8a) give", ["7.6", "7.7", "7.8a"]),
        ("broken over lines, Eq.\n    (0.11).", ["0.11"]),
        ("Eq. (3.1) to (3.4)", ["3.1", "3.4", "3.2", "3.3"]),
        ("version (3.11) is no equation", []),
    ],
)
def test_citations_are_found(text, numbers):
    assert equations.citations(text) == numbers


def test_wrong_numbers_are_found(tmp_path):
    source = tmp_path / "tutorials" / "source"
    source.mkdir(parents=True)
    (source / "03-x.md").write_text("$$ x \\tag{3.1} $$\n$$ y \\tag{3.1} $$\n")
    (tmp_path / "README.md").write_text("see Eq. (3.1) and Eq. (3.9)")
    assert equations.doubled(tmp_path) == ["3.1"]
    assert [(str(p), n) for p, n in equations.unknown(tmp_path)] == [("README.md", "3.9")]
