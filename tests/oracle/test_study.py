"""What `tests/oracle/study.py` has measured holds what was asked of it."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUDY = json.loads((ROOT / "benchmarks" / "results" / "oracle_study.json").read_text())


def test_ten_thousand_right_answers_and_no_alarm():
    total = STUDY["total"]
    assert total["alarms"] == 0 == sum(len(r["alarms"]) for r in STUDY["rows"])
    assert total["cases"] == sum(r["cases"] for r in STUDY["rows"]) >= 10_000
    assert {r["dtype"] for r in STUDY["rows"]} == {"float32", "float64"}


def test_the_bound_is_tight_and_climbing_does_not_get_over_it():
    for row in STUDY["rows"]:
        scan = row["implementation"] != "a whole model"
        assert (0.1 if scan else 0.005) < max(row["worst"].values()) <= 1, row["implementation"]
    assert 0.1 < STUDY["total"]["highest_climb"] < 1
