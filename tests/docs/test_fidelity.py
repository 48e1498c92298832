"""The table of docs/fidelity.md is the measured one, and its claims hold in the measurement."""

import json
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
RESULT = json.loads((DOCS / "results" / "fidelity.json").read_text())


def test_the_table_is_the_measured_one():
    page = (DOCS / "fidelity.md").read_text()
    for variant, measured in RESULT.items():
        for branch in ("causal", "anticausal"):
            cells = ["0" if x == 0 else f"{x:.1e}" for x in measured[branch].values()]
            assert f"| {variant} | {branch} | {' | '.join(cells)} |" in page


def test_the_sentences_about_the_table_hold():
    released, own, ends = RESULT.values()
    assert released["anticausal_largest_on_earlier_items"] == 0
    assert own["anticausal_largest_on_earlier_items"] == 0
    assert released["causal"]["10"] > 1e5 * released["causal"]["30"]
    assert own["causal"]["10"] < 10 * own["causal"]["30"]
    assert min(ends["anticausal"].values()) > 0
