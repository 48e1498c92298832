"""A run folder: what is in it, how it is made, continued and finished.

config.toml manifest.json metrics.jsonl last.safetensors best.safetensors result.json
"""

import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

from minimamba import __version__, gpu
from minimamba.errors import InputError
from minimamba.files import load_tree
from minimamba.recsys import checkpoint
from minimamba.recsys.baselines import BASELINES
from minimamba.recsys.config import to_toml
from minimamba.recsys.fit import begin, best_epoch, done, fit, scorer
from minimamba.recsys.protocol import measure
from minimamba.recsys.zoo import build, first_weights
from minimamba.trees import tree_map


def versions():
    """Return what a run depended on."""
    threads = {k: v for k, v in os.environ.items() if k.endswith("_NUM_THREADS")}
    return {
        "minimamba-reference": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "threads": threads,
    }


def peak_mib():
    """Return the largest resident set of this process so far, in MiB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def open_folder(folder, config, data):
    """Make a run folder, or check that the one there belongs to this log and these settings."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    manifest = Path(folder) / "manifest.json"
    if manifest.exists():
        old = checkpoint.read_json(manifest)["data"]["sha256"]
        if old != data.about["sha256"]:
            raise InputError(
                f"{folder} holds a run on another log (sha256 {old[:12]}, this one has "
                f"{data.about['sha256'][:12]}); choose another --out folder"
            )
        return
    about = {"data": data.about, "seed": config.train.seed, "versions": versions()}
    checkpoint.write_json(manifest, about)


def resume(folder, model, config, place):
    """Return the state to train from, and the seconds spent before: new, or as last saved."""
    params = tree_map(place, first_weights(model, config.train.seed, config.train.dtype))
    last = Path(folder) / "last.safetensors"
    if last.exists():
        return checkpoint.load_training(last, params, config)
    return begin(params), 0.0


def train(folder, config, data, place=np.asarray):
    """Train in a run folder, continuing what is there; yield every Step.

    Parameters
    ----------
    folder : str or path
    config : Config
    data : Dataset
    place : callable
        Moves an array to where training runs: numpy.asarray or cupy.asarray.
    """
    folder = Path(folder)
    try:
        yield from steps(folder, config, data, place)
    except Exception as error:
        if (why := gpu.explain(error)) is None:
            raise
        last = folder / "last.safetensors"
        kept = f"{last} is intact, and the same command continues from it"
        raise InputError(f"{why}; {kept if last.exists() else 'nothing was saved yet'}") from error


def steps(folder, config, data, place):
    """Train as `train` says, and save on the way."""
    model = build(config.model, len(data.seqs.names) - 1)
    open_folder(folder, config, data)
    state, before = resume(folder, model, config, place)
    checkpoint.write_text(folder / "config.toml", to_toml(config))
    start = saved = time.monotonic()
    for step in fit(model, data.seqs, data.split, config, state):
        now = time.monotonic()
        spent = before + now - start
        over = 0 < config.train.minutes * 60 <= spent
        if step.finished:
            record_epoch(folder, config, data, step)
        if step.finished or over or now - saved >= config.train.checkpoint:
            checkpoint.save_training(folder / "last.safetensors", step.state, config, spent)
            saved = now
        yield step
        if over:
            return


def record_epoch(folder, config, data, step):
    """Write metrics.jsonl, and best.safetensors when the epoch is the best so far."""
    if step.improved:
        path = folder / "best.safetensors"
        checkpoint.save_model(path, step.state.params, config, data.seqs.names, data.titles)
    lines = [json.dumps(record) + "\n" for record in step.state.history]
    checkpoint.write_text(folder / "metrics.jsonl", "".join(lines))


def load_best(folder, config, items, place=np.asarray):
    """Return the model of a run folder with its best weights."""
    model = build(config.model, items)
    like = tree_map(place, first_weights(model, config.train.seed, config.train.dtype))
    return model, load_tree(Path(folder) / "best.safetensors", like)[0]


def finish(folder, config, data, place=np.asarray):
    """Test the best weights and the baselines once; write result.json, and return what it says."""
    folder = Path(folder)
    if not (folder / "best.safetensors").exists():
        raise InputError(
            "train.minutes ended before the first epoch did, so there is nothing to test yet; the "
            "same command with a larger train.minutes goes on"
        )
    model, params = load_best(folder, config, len(data.seqs.names) - 1, place)
    tested = data.seqs, data.split.test, config
    test, tied = measure(scorer(model, params), *tested)
    result = {"protocol": config.evaluate.protocol, "test": test}
    result["baselines"] = {
        name: measure(make(data.seqs, data.split), *tested)[0] for name, make in BASELINES.items()
    }
    result |= account(config, *resume(folder, model, config, place))
    result |= {
        "tied_targets": tied,
        "peak_memory_mib": peak_mib(),
        "data": data.about | {"path": Path(data.about["path"]).name},
        "seed": config.train.seed,
        "config": to_toml(config).splitlines(),
        "versions": versions(),
    }
    checkpoint.write_json(folder / "result.json", result)
    return result


def account(config, state, seconds):
    """Say how training went: the best epoch, how many there were, and what ended them."""
    best = best_epoch(state.history)
    limit = "train.epochs" if done(state, config.train) else "train.minutes"
    return {
        "valid": best["valid"],
        "best_epoch": best["epoch"],
        "epochs": state.epoch,
        "stopped": "early stopping" if state.waited > config.train.patience else limit,
        "training_seconds": round(seconds, 1),
    }
