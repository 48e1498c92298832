"""The table of docs/fidelity.md is the measured one, and its claims hold in the measurement."""

import json
from pathlib import Path

import numpy as np

from minimamba import EchoConfig, init_echo
from minimamba.trees import tree_leaves

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
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


def test_the_share_of_the_attention_that_is_never_called():
    width = 64
    params = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=50, width=width))
    ours = sum(x.size for path, x in tree_leaves(params) if path != "item_embedding")
    released = np.load(ROOT / "tests" / "golden" / "echo_released_1layer.npz")
    shapes = [released[k].shape for k in released if "param/" in k and "transformer_block" in k]
    grown = [np.multiply(shape, width // 8) for shape in shapes]  # the file's model has width 8
    idle = int(sum(np.prod(shape) for shape in grown))
    share = f"{idle:,} of the {ours + idle:,} parameters outside the table, "
    assert (
        share + f"{idle / (ours + idle):.0%}".replace("%", " %")
        in (DOCS / "fidelity.md").read_text()
    )
