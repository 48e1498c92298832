"""The traceability tables have no hole: equation, derivation, code and test know of each other."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import traceability  # noqa: E402

FAMILIES = [
    pytest.param(family, id=f"{family[0].module}.{family[0].name}")
    for family in traceability.families()
    if family[0].name != "at"  # the lookup inside bidirectional_read
]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_op_has_an_equation_a_lesson_and_a_test(family):
    assert any(op.equations or op.coming for op in family)
    assert traceability.lessons(family)
    assert any(traceability.tests_of(op.name) for op in family)


def test_every_op_of_a_written_notebook_is_tested_where_the_table_says():
    for row in traceability.equation_rows():
        if row["code"]:
            assert row["tests"], f"Eq. ({row['number']}) has code and no test"


def test_a_function_without_an_equation_or_a_test_would_be_seen(tmp_path):
    for room in ("ops", "blocks", "models"):
        (tmp_path / "minimamba" / room).mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tutorials" / "source").mkdir(parents=True)
    (tmp_path / "minimamba" / "ops" / "x.py").write_text(
        'def f(x):\n    """Nothing."""\n\n\ndef f_backward(dy):\n    """EQ (3.9)."""\n'.replace(
            "EQ", "Eq."
        )
    )
    ((found, backward),) = traceability.families(tmp_path)
    assert found == traceability.Op("f", "ops.x", (), ())
    assert traceability.lessons([found, backward], tmp_path) == [(3, None)]
    assert traceability.tests_of("f", tmp_path) == []
