"""Using a finished run: measure it again, recommend for a history, and say why."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minimamba.arrays import to_host
from minimamba.errors import InputError, nearest
from minimamba.files import load_arrays
from minimamba.models.explain import echo_attribution
from minimamba.recsys.checkpoint import read_json, saved_config
from minimamba.recsys.config import Config, read_config, with_settings
from minimamba.recsys.data.dataset import open_dataset
from minimamba.recsys.data.windows import window
from minimamba.recsys.fit import scorer
from minimamba.recsys.protocol import PROTOCOLS, measure
from minimamba.recsys.run import load_best
from minimamba.recsys.zoo import Model, echo_variants


class Server(NamedTuple):
    """A finished model with the names of its items."""

    model: Model
    params: Any
    config: Config
    names: list  # of str, item i's name in the log
    titles: dict  # of str to str; may be empty


class Reason(NamedTuple):
    """One place of the history that moved a score."""

    item: str
    back: int  # 1 is the last item of the history
    share: float  # signed, of all the influence that the history has


class Pick(NamedTuple):
    """One recommended item."""

    item: str
    chance: float  # of being next, by the model
    reasons: list  # of Reason, the largest first


class Answer(NamedTuple):
    """Recommendations for one history."""

    picks: list  # of Pick, the best first
    notice: str  # what was done to the history, or empty


def open_server(folder, place=np.asarray):
    """Load the best weights of a run folder; `place` moves arrays to where scores are computed."""
    path = Path(folder) / "best.safetensors"
    metadata = load_arrays(path)[1]
    config = saved_config(path, metadata)
    names = json.loads(metadata["items"])
    model, params = load_best(folder, config, len(names) - 1, place)
    return Server(model, params, config, names, json.loads(metadata["titles"]))


def number(server, history):
    """Return the numbers of a history's items, or name the first that is unknown."""
    if not history:
        raise InputError("--history is empty; at least one item was expected")
    index = {name: i for i, name in enumerate(server.names) if i}
    for name in history:
        if name not in index:
            hint = nearest(name, list(index))
            raise InputError(f"--history: the item {name!r} is not one the model knows; {hint}")
    return [index[name] for name in history]


def recommend(server, history, k=10, repeats=False):
    """Recommend items for a history.

    Parameters
    ----------
    server : Server
    history : list of str
        Items as the log names them, oldest first.
    k : int
    repeats : bool
        Whether items of the history may be recommended.

    Returns
    -------
    answer : Answer
    """
    if k < 1:
        raise InputError(f"-k is {k}, but at least 1 was expected")
    items, length = number(server, history), server.config.model.length
    item_seq, lengths = window(items, length)
    scores = to_host(scorer(server.model, server.params)(item_seq, lengths)[0]).astype(float)
    scores[0] = -np.inf
    chances = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    left_out = set() if repeats else set(items)
    order = np.lexsort((np.arange(len(scores)), -scores))  # equal scores: the smaller number first
    best = [int(i) for i in order if i and i not in left_out][:k]
    reasons = explain(server, item_seq, lengths, best)
    picks = [
        Pick(server.names[i], float(chances[i]), why) for i, why in zip(best, reasons, strict=True)
    ]
    cut = len(items) - length
    notice = f"the history has {len(items)} items; the last {length} are used" if cut > 0 else ""
    return Answer(picks, notice)


def explain(server, item_seq, lengths, items, most=3):
    """List for each item the Reasons that moved its score most: exact gradient times input."""
    variants = echo_variants(server.config.model)
    wide, long = np.repeat(item_seq, len(items), 0), np.repeat(lengths, len(items))
    moved = to_host(echo_attribution(wide, long, np.array(items), server.params, **variants))
    found = []
    for row in moved[:, : lengths[0]]:
        total = np.abs(row).sum() or 1.0
        top = np.argsort(-np.abs(row), kind="stable")[:most]
        named = [(server.names[item_seq[0, t]], int(lengths[0] - t)) for t in top]
        found.append([Reason(*at, float(row[t] / total)) for at, t in zip(named, top, strict=True)])
    return found


def data_of_run(folder, path=None):
    """Open the log that a run was trained on, or refuse another: a Dataset, and the Config."""
    config = read_config(Path(folder) / "config.toml")
    about = read_json(Path(folder) / "manifest.json")["data"]
    data = open_dataset(path or about["path"], config.data)
    if data.about["sha256"] != about["sha256"]:
        raise InputError(
            f"{data.about['path']} is not the log that {folder} was trained on: its sha256 is "
            f"{data.about['sha256'][:12]}, there it was {about['sha256'][:12]}"
        )
    return data, config


def evaluate_run(folder, path=None, protocols=None, rows="test", place=np.asarray):
    """Measure the best weights of a run: {name of the protocol: metrics}; by default under all."""
    data, config = data_of_run(folder, path)
    model, params = load_best(folder, config, len(data.seqs.names) - 1, place)
    score, chosen = scorer(model, params), getattr(data.split, rows)
    found = {}
    for name in protocols or PROTOCOLS:
        settings = with_settings(config, [f"evaluate.protocol={name}"])
        found[name] = measure(score, data.seqs, chosen, settings)[0]
    return found
