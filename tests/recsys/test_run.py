"""A run folder: killed, continued, refused, and with a disk that is full."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minimamba.errors import InputError
from minimamba.files import load_arrays
from minimamba.recsys import checkpoint, run
from minimamba.recsys.config import Config, with_settings
from minimamba.recsys.data.dataset import open_dataset
from minimamba.recsys.fit import begin

from .helpers import ROOT

TINY = [
    *("data.core=1", "model.length=6", "model.width=4", "model.state=2", "model.expand=1"),
    *("train.batch=8", "train.epochs=3", "train.checkpoint=0", "train.lr=0.01"),
]


def write_log(folder, users=20):
    rng = np.random.default_rng(0)
    lines = [f"{u} {rng.integers(1, 10)}" for u in range(users) for _ in range(rng.integers(5, 9))]
    path = folder / "log.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def settings(*more):
    return with_settings(Config(), [*TINY, *more])


def train(folder, log, config):
    data = open_dataset(log, config.data)
    steps = list(run.train(folder, config, data))
    return steps, run.finish(folder, config, data)


def arguments(log, folder, *more):
    chosen = [part for text in (*TINY, *more) for part in ("--set", text)]
    command = [sys.executable, "-m", "minimamba", "train", "--data", str(log)]
    return [*command, "--out", str(folder), *chosen]


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def place(folder):
    """Return (epochs done, steps done in this epoch) of the last checkpoint."""
    path = folder / "last.safetensors"
    if not path.exists():
        return 0, 0
    state = json.loads(load_arrays(path)[1]["training"])
    return state["epoch"], state["position"]


def same_arrays(one, two):
    first, second = load_arrays(one)[0], load_arrays(two)[0]
    assert first.keys() == second.keys()
    return all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_a_run_killed_in_the_middle_of_an_epoch_ends_bit_for_bit_the_same(tmp_path):
    log, killed, whole = write_log(tmp_path), tmp_path / "killed", tmp_path / "whole"
    options = {"env": environment(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(arguments(log, killed), **options)
    until = time.monotonic() + 60
    while not (place(killed)[0] >= 1 and place(killed)[1] >= 2) and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    epoch, position = place(killed)
    assert 1 <= epoch < 3 and position > 0  # in the middle of an epoch
    assert not (killed / "result.json").exists()
    subprocess.run(arguments(log, killed), check=True, **options)
    train(whole, log, settings())
    for name in ("last.safetensors", "best.safetensors"):
        assert same_arrays(killed / name, whole / name)
    assert (killed / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    results = [json.loads((folder / "result.json").read_text()) for folder in (killed, whole)]
    assert results[0]["test"] == results[1]["test"] and results[0]["epochs"] == 3


def test_a_run_folder_holds_what_it_should(tmp_path):
    folder, log = tmp_path / "run", write_log(tmp_path)
    _, result = train(folder, log, settings())
    names = ["best.safetensors", "config.toml", "last.safetensors", "manifest.json"]
    assert sorted(p.name for p in folder.iterdir()) == [*names, "metrics.jsonl", "result.json"]
    assert result["protocol"] == "P1" and set(result["test"]) >= {"HR@10", "NDCG@10", "MRR@10"}
    assert set(result["baselines"]) == {"popularity", "Markov chain"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest["data"]["sha256"]) == 64 and "file" in manifest["data"]["tie_rule"]
    assert manifest["seed"] == 2020 and manifest["versions"]["numpy"] == np.__version__
    assert str(tmp_path) not in (folder / "result.json").read_text()  # no path of this machine


def test_a_finished_run_is_not_trained_again_but_may_get_more_epochs(tmp_path):
    folder, log = tmp_path / "run", write_log(tmp_path)
    _, first = train(folder, log, settings("train.epochs=1"))
    steps, again = train(folder, log, settings("train.epochs=1"))
    assert not steps and again["test"] == first["test"]
    train(folder, log, settings("train.epochs=3"))
    train(tmp_path / "whole", log, settings("train.epochs=3"))
    assert same_arrays(folder / "last.safetensors", tmp_path / "whole" / "last.safetensors")


def test_another_config_or_another_log_is_refused(tmp_path):
    folder, log = tmp_path / "run", write_log(tmp_path)
    train(folder, log, settings("train.epochs=1"))
    kept = (folder / "last.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"written with model[.]state = 2, but model[.]state = 3"):
        train(folder, log, settings("model.state=3"))
    (tmp_path / "other").mkdir()
    other = write_log(tmp_path / "other", users=21)
    with pytest.raises(InputError, match="holds a run on another log"):
        train(folder, other, settings())
    assert (folder / "last.safetensors").read_bytes() == kept


def test_a_damaged_checkpoint_is_named(tmp_path):
    folder, log = tmp_path / "run", write_log(tmp_path)
    train(folder, log, settings("train.epochs=1"))
    path = folder / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"cannot read .*last.safetensors as safetensors"):
        train(folder, log, settings())


def test_a_loss_that_breaks_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    folder, log = tmp_path / "run", write_log(tmp_path)
    config = settings()
    data = open_dataset(log, config.data)
    build = run.build

    def breaking(*sizes):
        model = build(*sizes)
        calls = iter(range(99))

        def loss(*batch):
            value, cache = model.loss(*batch)
            return (value * np.nan if next(calls) == 5 else value), cache

        return model._replace(loss=loss)

    monkeypatch.setattr(run, "build", breaking)
    with pytest.raises(InputError, match="loss became nan in epoch 1, step 6"):
        list(run.train(folder, config, data))
    arrays, _ = load_arrays(folder / "last.safetensors")
    assert all(np.isfinite(x).all() for x in arrays.values()) and place(folder) == (0, 5)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_leaves_the_last_checkpoint_intact(tmp_path, monkeypatch, code):
    folder, log = tmp_path / "run", write_log(tmp_path)
    config = settings()
    steps = run.train(folder, config, open_dataset(log, config.data))
    next(steps)
    next(steps)

    def fail(*arguments, **more):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("minimamba.files.tempfile.mkstemp", fail)
    with pytest.raises(InputError, match=rf"could not be written \(.*{os.strerror(code)}"):
        next(steps)
    monkeypatch.undo()
    assert place(folder) == (0, 2)  # the step before is there
    assert not [p for p in folder.iterdir() if p.name.startswith(".part")]
    train(folder, log, config)


def test_a_disk_that_fills_while_writing_is_one_sentence(tmp_path):
    log, folder = write_log(tmp_path), tmp_path / "run"
    process = subprocess.run(
        arguments(log, folder),
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert process.returncode == 2
    assert process.stderr.startswith("minimamba: ") and process.stderr.count("\n") == 1
    assert "last.safetensors could not be written (File too large)" in process.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["config.toml", "manifest.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    log, config = write_log(tmp_path), settings()
    steps = run.train(tmp_path / "file" / "run", config, open_dataset(log, config.data))
    with pytest.raises(InputError, match="cannot be made"):
        next(steps)


def test_the_clock_stops_training_and_the_run_goes_on_later(tmp_path):
    folder, log = tmp_path / "run", write_log(tmp_path)
    with pytest.raises(InputError, match="ended before the first epoch did"):
        train(folder, log, settings("train.minutes=1e-9"))
    assert place(folder)[1] == 1
    _, result = train(folder, log, settings())
    assert result["epochs"] == 3 and result["stopped"] == "train.epochs"


def test_a_checkpoint_reads_back_equal(tmp_path):
    state = begin((np.arange(3.0), None))._replace(epoch=2, history=({"epoch": 1},), best=0.25)
    checkpoint.save_training(tmp_path / "x", state, Config(), 1.5)
    found, seconds = checkpoint.load_training(tmp_path / "x", (np.zeros(3), None), Config())
    assert found._replace(params=0, adam=0) == state._replace(params=0, adam=0) and seconds == 1.5
    assert (found.params[0] == state.params[0]).all() and found.adam.step == 0
