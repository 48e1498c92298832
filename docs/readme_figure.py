"""Draw the README's figure from docs/results/demo.json: `python docs/readme_figure.py`.

`python docs/readme_figure.py RUN` first takes the scores of a finished demo, the run folder of
`minimamba demo`, into that file, with the best possible score of the process that made the log.
"""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tutorials"), str(HERE.parent)]
import plotting  # noqa: E402

from minimamba.ops.recurrence import recurrence  # noqa: E402

SCORES = HERE / "results" / "demo.json"
FIGURE = HERE / "results" / "readme.png"


def collect(run):
    """Take the scores of a finished demo into docs/results/demo.json."""
    from minimamba.recsys.baselines import best_possible
    from minimamba.recsys.config import config_from
    from minimamba.recsys.data.dataset import BUILT_IN, open_dataset
    from minimamba.recsys.data.synthetic import Process
    from minimamba.recsys.demo import SETTINGS

    result = json.loads((Path(run) / "result.json").read_text())
    data = open_dataset(f"{BUILT_IN}1", config_from(SETTINGS).data)
    best = best_possible(Process(), data.seqs, data.split.test)
    scores = {**result["baselines"], "EchoMamba4Rec": result["test"], "best possible": best}
    kept = {
        name: {metric: float(values[metric]) for metric in ("HR@10", "NDCG@10", "MRR@10")}
        for name, values in scores.items()
    }
    out = {"protocol": result["protocol"], "seed": 1, "scores": kept}
    SCORES.write_text(json.dumps(out, indent=1) + "\n")


def memory(a):
    """What every step remembers of every earlier one, Eq. (3.2)."""
    return recurrence(np.tile(a, (len(a), 1)), np.eye(len(a)), np.zeros(len(a)))[0].T


def draw():
    """Draw two kinds of memory, and what the demo reaches."""
    figure, axes = plotting.subplots(1, 3, width=10.5, height=3.0)
    steps = np.arange(48)
    chosen = np.where(np.isin(steps, (14, 31)), 0.04, 0.985)
    plotting.heatmap(axes[0], memory(np.full(48, 0.9)), "constant: every step fades alike", "", "")
    plotting.heatmap(axes[1], memory(chosen), "selective: kept until it is let go", "", "")
    for axis in axes[:2]:
        axis.set(xlabel="input step", ylabel="what the state remembers")
    scores = json.loads(SCORES.read_text())["scores"]
    values = [row["HR@10"] for row in scores.values()]
    colours = [plotting.SKY] * (len(values) - 2) + [plotting.ORANGE, "#bbbbbb"]
    bars = axes[2].barh(list(scores), values, color=colours)
    axes[2].bar_label(bars, fmt="%.3f", padding=3, fontsize=9)
    axes[2].invert_yaxis()
    axes[2].grid(False, axis="y")
    axes[2].set(title="make demo: HR@10", xlim=(0, max(values) * 1.2))
    figure.savefig(FIGURE, dpi=90)


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        collect(folder)
    draw()
