"""A prepared log, with what identifies it: the input of training, evaluation and plots."""

import hashlib
from typing import NamedTuple

import numpy as np

from minimamba.errors import InputError
from minimamba.recsys.data.formats import TIE_RULE, Names, read_log
from minimamba.recsys.data.prepare import SPLITS, Sequences, Split, prepare
from minimamba.recsys.data.readers import sha256
from minimamba.recsys.data.synthetic import synthetic_log
from minimamba.recsys.data.titles import find_titles, read_titles

BUILT_IN = "synthetic:"  # `--data synthetic:1` is the built-in log with seed 1


class Dataset(NamedTuple):
    """A prepared log."""

    seqs: Sequences
    split: Split
    titles: dict  # of str to str, by the item's name in the log
    about: dict  # path, sha256, format, counts: for the manifest


def open_dataset(path, config, titles=None):
    """Read and prepare a log as the settings say.

    Parameters
    ----------
    path : str or path
        A file, or "synthetic:SEED" for the built-in log.
    config : DataConfig
    titles : path, optional
        Item file; by default one that lies beside the log is used.

    Returns
    -------
    data : Dataset

    Examples
    --------
    >>> from minimamba.recsys.config import DataConfig
    >>> open_dataset("synthetic:1", DataConfig(core=1)).about["prepared"]
    {'users': 800, 'items': 184, 'events': 24183}
    """
    source = built_in if str(path).startswith(BUILT_IN) else from_file
    log, form, known, digest = source(str(path), config, titles)
    seqs = prepare(log, config.min_rating, config.core)
    split = SPLITS[config.split](seqs)
    about = {
        "path": str(path),
        "sha256": digest,
        "format": form,
        "tie_rule": TIE_RULE,
        "raw": counts(log.users, log.items, log.user),
        "prepared": counts(seqs.users, seqs.names[1:], seqs.items),
        "rows": {name: len(rows) for name, rows in split._asdict().items()},
    }
    return Dataset(seqs, split, known, about)


def from_file(path, config, titles):
    """Return the log in a file, its format, the titles, and the file's hash."""
    log, form = read_log(path, config.format, Names(config.user, config.item, config.time))
    found = titles or find_titles(path)
    return log, form, read_titles(found) if found else {}, sha256(path)


def built_in(path, config, titles):
    """Return the built-in log of a seed, its format, the titles, and a hash of its events."""
    seed = path.removeprefix(BUILT_IN)
    if not seed.isdecimal():
        raise InputError(f"{path}: a whole number was expected behind {BUILT_IN!r}")
    log, known = synthetic_log(seed=int(seed))
    events = np.stack([log.user, log.item, log.time]).astype("<i8").tobytes()
    return log, "built in", known, hashlib.sha256(events).hexdigest()


def counts(users, items, events):
    """Return the three numbers that identify a log."""
    return {"users": len(users), "items": len(items), "events": len(events)}
