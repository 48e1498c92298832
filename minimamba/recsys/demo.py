"""The demo: from a built-in log to a trained, measured and explained recommender."""

from pathlib import Path

from minimamba.recsys import plots, run, serve
from minimamba.recsys.baselines import best_possible
from minimamba.recsys.config import config_from, with_settings
from minimamba.recsys.data.dataset import BUILT_IN, open_dataset
from minimamba.recsys.data.synthetic import Process
from minimamba.recsys.progress import follow
from minimamba.recsys.tables import answer_table, data_table, result_table, show

SETTINGS = {
    "data": {"core": 1},
    "model": {"length": 24, "width": 32, "state": 8},
    "train": {"batch": 128, "lr": 0.005, "dropout": 0.1, "epochs": 5, "checkpoint": 10.0},
}
FILES = ("manifest.json", "last.safetensors", "best.safetensors", "metrics.jsonl", "result.json")


def demo(folder, seed=1, settings=()):
    """Train EchoMamba4Rec on the built-in log, and print and draw how it did.

    A finished demo in the folder is replaced, an interrupted one is continued.
    """
    config = with_settings(config_from(SETTINGS), [f"train.seed={seed}", *settings])
    data = open_dataset(f"{BUILT_IN}{seed}", config.data)
    clear(folder)
    show("A log with hidden interests, a daily rhythm, repeats and noise; see synthetic.py.")
    show(*data_table(data.about))
    follow(run.train(folder, config, data), config.train.epochs)
    result = run.finish(folder, config, data)
    best = best_possible(Process(), data.seqs, data.split.test)
    show(result_table(result, **{"best possible": best}))
    recommend_one(folder, data)
    show("plots:", *(f"  {path}" for path in plots.draw_run(folder)))


def clear(folder):
    """Remove a finished run, so that the demo runs again."""
    if (Path(folder) / "result.json").exists():
        for name in FILES:
            (Path(folder) / name).unlink(missing_ok=True)


def recommend_one(folder, data):
    """Print recommendations for the first test user."""
    server = serve.open_server(folder)
    row = data.split.test[0]
    begin = data.seqs.offsets[0]
    history = [data.seqs.names[i] for i in data.seqs.items[begin:row]]
    answer = serve.recommend(server, history, 5, repeats=True)
    recent = ", ".join(data.titles[name] for name in history[-8:])
    show(f"\n{data.seqs.users[0]} clicked ..., {recent}", answer_table(answer, server.titles))
    show(f"and next clicked {data.titles[data.seqs.names[data.seqs.items[row]]]}\n")
