"""The traceability tables have no hole: equation, derivation, code and test know of each other."""

import sys
from pathlib import Path

import pytest

from tests.test_mirror import PUBLIC

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import tables  # noqa: E402
import traceability  # noqa: E402
import usage  # noqa: E402

FAMILIES = [
    pytest.param(family, id=f"{family[0].module}.{family[0].name}")
    for family in traceability.families()
]


def op(name, module):
    return next(o for o in traceability.ops() if (o.name, o.module) == (name, module))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_op_has_an_equation_a_lesson_and_a_test(family):
    forward, backward, *_ = family
    assert forward.equations or forward.coming
    assert backward.equations or backward.coming
    assert traceability.lessons(family)
    assert usage.tests_of(forward)


def test_every_public_function_stands_in_a_table_once():
    listed = [f for family in traceability.families() for f in family]
    listed += [f for group in traceability.others().values() for f in group]
    assert sorted(f"{f.module}.{f.name}" for f in listed) == sorted(PUBLIC)


def test_what_is_no_differentiable_op_says_why():
    assert [fs for (_, why), fs in traceability.others().items() if not why] == []


def test_every_equation_with_code_has_a_test():
    for row in traceability.equation_rows():
        if row["code"]:
            assert row["tests"], f"Eq. ({row['number']}) has code and no test"


def test_a_rule_and_the_block_that_uses_it_are_told_apart():
    rule = usage.tests_of(op("zoh_euler", "ops.discretize"))
    block = usage.tests_of(op("mamba", "blocks.mamba"))
    assert rule[0] == "ops/test_discretize.py" and "blocks/test_mamba.py" not in rule
    assert block[0] == "blocks/test_mamba.py" and "ops/test_discretize.py" not in block


def test_a_name_counts_for_the_module_that_defines_it():
    assert usage.origin("minimamba.ops.selective.scan", "SelectiveScanGrads") == (
        "minimamba.ops.selective.naive",
        "SelectiveScanGrads",
    )


def test_an_op_s_own_test_file_comes_first():
    assert usage.tests_of(op("causal_conv1d", "ops.conv"))[0] == "ops/test_conv.py"


def test_a_step_in_a_file_of_its_own_stands_with_its_op():
    family = next(f for f in traceability.families() if f[0].name == "selective_scan")
    assert [f.name for f in family][2:] == ["selective_scan_step"]


def test_the_oracle_s_names_are_found():
    found = {traceability.contract_of(o) for o in traceability.ops()} - {None}
    assert found == set(traceability.CONTRACTS) - {"mamba_lm", "echo"}  # models are no ops


def test_the_tables_of_the_page_are_those_of_the_extension():
    page = (ROOT / "docs" / "traceability.md").read_text()
    for name in ("equation-table", "op-table", "other-table"):
        assert f"{{{name}}}" in page
        lines = getattr(tables, name.replace("-", "_"))().splitlines()
        rows = [line for line in lines if line.startswith("|")]
        assert len(rows) > 5 and len({row.count("|") for row in rows}) == 1


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
    assert usage.tests_of(found, tmp_path) == []
