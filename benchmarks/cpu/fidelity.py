"""How far does the untrained read-out of EchoMamba4Rec see? Exact Jacobians, by initialization.

Writes docs/results/fidelity.json, which docs/fidelity.md quotes.
"""

import json
from pathlib import Path

import numpy as np

from minimamba import EchoConfig, init_echo
from minimamba.blocks.init import delta_log_uniform, delta_released
from minimamba.blocks.read import read_ends, read_last
from minimamba.blocks.sequence import flip_valid, flip_window
from minimamba.models.explain import echo_receptive_field

RESULT = Path(__file__).parents[2] / "docs" / "results" / "fidelity.json"
LENGTH, LAST, SEEDS, STEPS_BACK = 50, 40, range(5), (1, 5, 10, 20, 30)
VARIANTS = {
    "released": (delta_released, flip_window, read_last),
    "Mamba's own step sizes": (delta_log_uniform, flip_window, read_last),
    "read at the ends, valid part flipped": (delta_log_uniform, flip_valid, read_ends),
}


def field(seed, init, flip, read):
    """Return the receptive field of one untrained model, by branch, over the history."""
    rng = np.random.default_rng(seed)
    params = init_echo(rng, EchoConfig(items=500, length=LENGTH), init)
    item_seq = np.zeros((1, LENGTH), int)
    item_seq[0, : LAST + 1] = rng.integers(1, 501, LAST + 1)
    found = echo_receptive_field(item_seq, np.array([LAST + 1]), params, flip, read)
    return {name: values[0, : LAST + 1] for name, values in found.items()}


def summary(init, flip, read):
    """Return medians over seeds of the dependence on the item so many steps before the last."""
    fields = [field(seed, init, flip, read) for seed in SEEDS]

    def median(name, position):
        return float(np.median([f[name][position] / f["total"][LAST] for f in fields]))

    return {
        "causal": {str(k): median("causal", LAST - k) for k in STEPS_BACK},
        "anticausal": {str(k): median("anticausal", LAST - k) for k in STEPS_BACK},
        "anticausal_first_item": median("anticausal", 0),
        "anticausal_largest_on_earlier_items": float(
            max(np.abs(f["anticausal"][:LAST]).max() for f in fields)
        ),
    }


def main(argv):
    """Compute every variant and write the file."""
    result = {name: summary(*variant) for name, variant in VARIANTS.items()}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
