"""Checkpoints: the state of training, and the finished weights with all that serving needs."""

import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from minimamba.errors import InputError
from minimamba.files import load_arrays, load_tree, save_tree, write_atomically
from minimamba.ops.adam import AdamState
from minimamba.recsys.config import LIMITS, config_from, differences, to_toml
from minimamba.recsys.fit import Training


class Weights(NamedTuple):
    """The arrays of a run in training."""

    params: Any
    mean: Any
    square: Any


def guard(path, write, *arguments):
    """Call `write(path, ...)`; a full disk or a read-only folder becomes one clear sentence."""
    try:
        write(path, *arguments)
    except (OSError, InputError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path} could not be written ({why}); what was there before is intact, and the same "
            "command continues from it"
        ) from None


def write_text(path, text):
    """Write a text file, all of it or nothing."""
    guard(path, write_atomically, text.encode())


def write_json(path, value):
    """Write a value as readable JSON, all of it or nothing."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path):
    """Read a JSON file of a run folder."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; is this a run folder?") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None


def save_training(path, state, config, seconds):
    """Write a Training, its Config, and the seconds spent in training so far."""
    place = {name: getattr(state, name) for name in Training._fields[2:]}
    place |= {"step": state.adam.step, "seconds": seconds}
    weights = Weights(state.params, state.adam.mean, state.adam.square)
    metadata = {"config": to_toml(config), "training": json.dumps(place)}
    guard(path, save_tree, weights, metadata)


def load_training(path, params, config):
    """Read (Training, seconds spent in it) back.

    `params` has the structure that the configured model's have; the Config must agree with the
    saved one but for limits such as `train.epochs`.
    """
    metadata = load_arrays(path)[1]
    same_config(path, metadata, config)
    weights, metadata = load_tree(path, Weights(params, params, params))
    place = json.loads(metadata["training"])
    adam = AdamState(place.pop("step"), weights.mean, weights.square)
    seconds = place.pop("seconds")
    place["history"] = tuple(place["history"])
    return Training(weights.params, adam, **place), seconds


def saved_config(path, metadata):
    """Return the Config in a checkpoint's metadata."""
    if "config" not in metadata:
        raise InputError(f"{path}: this file holds no settings; it is not a checkpoint of ours")
    return config_from(tomllib.loads(metadata["config"]), where=str(path))


def same_config(path, metadata, config):
    """Refuse a checkpoint that was written with other settings than the ones asked for."""
    saved = saved_config(path, metadata)
    for name, old, new in differences(saved, config):
        if name not in LIMITS:
            raise InputError(
                f"{path} was written with {name} = {old!r}, but {name} = {new!r} is asked for; "
                "choose another --out folder or the old value"
            )


def save_model(path, params, config, names, titles):
    """Write finished weights with their settings, the items' names in the log, and titles.

    Item i is called names[i] in the log, names[0] is the padding item; titles go by these names.
    """
    known = {name: titles[name] for name in names if name in titles}
    metadata = {
        "config": to_toml(config),
        "items": json.dumps(names, ensure_ascii=False),
        "titles": json.dumps(known, ensure_ascii=False),
    }
    guard(path, save_tree, params, metadata)
