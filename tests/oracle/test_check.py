"""What the oracle says of right, wrong and broken callables, and that it survives all of them."""

import json

import numpy as np
import pytest

from minimamba import oracle
from minimamba.oracle.command import COULD_NOT, RIGHT, WRONG
from minimamba.oracle.report import save_heat_map

from . import examples
from .schema import conforms


def judge(fn, **more):
    return oracle.check(fn, framework="numpy", **({"cases": 40, "budget": 20.0} | more))


@pytest.fixture(scope="module")
def wrong():
    return judge(examples.wrong_group_order, cases=60)


def test_a_right_scan_passes_and_says_what_was_not_run():
    report = judge(examples.good, dtypes=("float32", "float64"), cases=12)
    assert report.passed and report.exit_code == RIGHT
    assert {(r.output, r.dtype) for r in report.rows} == {
        (o, d) for o in ("out", "last_state") for d in ("float32", "float64")
    }
    assert set(report.skipped) >= {"seq_idx", "gradients"}
    assert "skipped  gradients" in str(report) and "RIGHT" in str(report)


def test_wrong_groups_are_shown_by_the_smallest_case_they_can_be_seen_in(wrong):
    assert wrong.exit_code == WRONG
    sizes = wrong.failures[0].sizes
    assert sizes == {"b": 1, "l": 1, "d": 4, "n": 1, "g": 2}  # two groups of two channels
    assert "B = np.array(" in wrong.failures[0].code and "got:" in wrong.failures[0].code


def test_the_code_of_a_failing_case_is_code_that_fails(wrong):
    failure = next(f for f in wrong.failures if f.output == "out")
    names = {"np": np}
    exec("\n".join(line.strip() for line in failure.code.splitlines()), names)
    given = {k: v for k, v in names.items() if k in {*"uABCDz", "delta", "delta_bias"}}
    assert all(x.dtype == np.float32 for x in given.values())
    assert np.any(examples.wrong_group_order(**given)[0] != examples.good(**given)[0])


@pytest.mark.parametrize(
    "fn, said",
    [
        (examples.wrong_shape, "out has shape"),
        (examples.wrong_dtype, "out has dtype float64, expected float32"),
        (examples.not_a_number, "out is not a number"),
        (examples.writes_into_u, "changed its argument u in place"),
    ],
)
def test_a_broken_contract_is_wrong_and_said_in_a_sentence(fn, said):
    report = judge(fn, cases=4, budget=4.0)
    assert report.exit_code == WRONG
    assert any(said in f.sentence for f in report.failures)


@pytest.mark.parametrize(
    "fn, said",
    [
        (examples.raises, "raised RuntimeError: no kernel image is available"),
        (examples.nothing, "returned nothing"),
        (examples.hangs, "did not return within 0.5 s"),
    ],
)
def test_what_cannot_be_run_is_not_called_wrong_or_right(fn, said):
    report = judge(fn, limit=0.5)
    assert report.exit_code == COULD_NOT and not report.passed
    assert said in report.error and "could not be run" in str(report)


def test_a_callable_that_hangs_later_on_ends_the_check():
    calls = []

    def later(u, delta, A, B, C):
        calls.append(1)
        return (
            examples.hangs(u, delta, A, B, C)
            if len(calls) > 12
            else examples.good(u, delta, A, B, C)
        )

    assert judge(later, limit=0.5).exit_code == COULD_NOT


def test_declared_capabilities_must_work_and_undeclared_ones_are_not_run():
    def no_groups(u, delta, A, B, C):
        if B.ndim == 4:
            raise ValueError("no groups here")
        return examples.good(u, delta, A, B, C)

    assert judge(no_groups, cases=10).passed
    assert "no groups here" in judge(no_groups, cases=3).skipped["groups"]
    report = judge(no_groups, capabilities={"groups"}, cases=20)
    assert report.exit_code == WRONG and "no groups here" in report.failures[0].sentence
    assert report.skipped["complex"] == "not declared"


def rounded(u, delta, A, B, C, **more):
    """A float32 computation with a result that has been through bfloat16."""
    out, last = examples.good(u, delta, A, B, C, **more)
    bits = out.view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32), last


def test_less_precision_than_promised_is_wrong_and_the_grade_says_how_much_there_is():
    report = judge(rounded, capabilities=set(), cases=10)
    row = next(r for r in report.rows if r.output == "out")
    assert not report.passed and row.grade in (None, "bfloat16 inside")
    assert row.roundoff > 2.0**-12  # eight bits, judged against twenty-four


def never_called(u, delta, A, B, C):
    raise AssertionError("an argument of check is refused before anything runs")


def test_bad_arguments_of_check_are_refused_in_a_sentence():
    for more, word in (
        ({"layout": "ldb"}, "layout"),
        ({"op": "scan"}, "op"),
        ({"op": "selectiv_scan"}, "did you mean 'selective_scan'"),
        ({"grade": "sloppy"}, "grade"),
        ({"dtypes": ("int8",)}, "dtype"),
        ({"dtypes": ("float32", "bfloat16"), "grade": "fast math"}, "grade"),
        ({"capabilities": {"gropus"}}, "got 'gropus'"),
        ({"cases": 0}, "cases must be more than 0, got 0"),
        ({"budget": -1.0}, "budget must be more than 0, got -1"),
        ({"limit": 0.0}, "limit must be more than 0"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
    ):
        with pytest.raises(ValueError, match=word):
            judge(never_called, **more)
    with pytest.raises(TypeError, match="callable"):
        judge(3)


def test_reports_conform_to_the_schema_and_survive_infinities(wrong):
    for report in (wrong, judge(examples.not_a_number, cases=3), judge(examples.raises)):
        conforms(json.loads(report.to_json()))


def test_the_heat_map_is_a_picture(tmp_path, wrong):
    assert save_heat_map(wrong, tmp_path / "heat.png")
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")
    assert not save_heat_map(judge(examples.good, cases=2), tmp_path / "none.png")
