"""Training, evaluating and recommending with `--device gpu`, on the stand-in for CuPy."""

import json

import numpy as np
import pytest

from minimamba import cli, gpu
from minimamba.arrays import to_host
from minimamba.dispatch import using
from minimamba.files import load_arrays
from minimamba.ops.dropout import dropout
from minimamba.recsys import run
from minimamba.recsys.data.dataset import open_dataset
from minimamba.recsys.data.windows import cut
from minimamba.recsys.fit import begin, scorer, train_step
from minimamba.recsys.protocol import measure
from minimamba.recsys.zoo import build, first_weights
from minimamba.trees import tree_leaves, tree_map
from tests import cupy_stand_in
from tests.cupy_stand_in import device
from tests.kernels.problems import FORWARD, GRADIENT, check

from .test_run import TINY, settings, write_log

STATES = "model.state=3"  # as other tests have, so that one build serves
FLOAT64 = ("train.dtype=float64", "train.epochs=2")


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    return cupy_stand_in.install(monkeypatch)


def arguments(log, folder, *more):
    chosen = [part for text in (*TINY, STATES, *more) for part in ("--set", text)]
    return ["train", "--data", str(log), "--out", str(folder), "-q", *chosen]


def states(log, folder, side, *more):
    """Train to the end; return the state after every step, its weights on the host."""
    config = settings(*FLOAT64, STATES, "model.outer=2", *more)
    data = open_dataset(log, config.data)
    steps = run.train(folder, config, data, side)
    return [(step.loss, tree_map(to_host, step.state.params)) for step in steps]


def close(one, two, tolerance):
    """Say whether two trees agree, relative to the largest number of each leaf."""
    pairs = zip(tree_leaves(one), tree_leaves(two), strict=True)
    return all(abs(x - y).max() <= tolerance * max(1, abs(x).max()) for (_, x), (_, y) in pairs)


def require_agreement(folder, side, tolerance):
    """Require of training on a side, in float64, what it gives on the CPU, step by step."""
    log = write_log(folder)
    there, here = states(log, folder / "there", side), states(log, folder / "here", np.asarray)
    assert len(there) == len(here) == 2 * (1 + 9)
    for (loss, params), (other_loss, other_params) in zip(there, here, strict=True):
        assert abs(loss - other_loss) <= tolerance * loss
        assert close(params, other_params, tolerance)
    assert not close(there[0][1], there[-1][1], 1e-3)  # something was learnt


def test_training_agrees_step_by_step_in_float64(tmp_path, cupy):
    with device.counted():
        require_agreement(tmp_path, cupy.asarray, 1e-13)  # some sums run in another order
    assert not device.launches  # float64 is array code
    results = [load_arrays(tmp_path / side / "best.safetensors")[0] for side in ("there", "here")]
    assert results[0].keys() == results[1].keys()


def a_step(side, dtype):
    """Return (loss, weights) after the first step of a run whose windows have 24 items."""
    config = settings("model.length=24", STATES, f"train.dtype={dtype}", "train.batch=32")
    data = open_dataset("synthetic:1", config.data)
    model = build(config.model, len(data.seqs.names) - 1)
    params = tree_map(side, first_weights(model, 1, dtype))
    batch = cut(data.seqs, data.split.train[:32], config.model.length)
    loss, state = train_step(model, batch, begin(params), config.train)
    return loss, tree_map(to_host, state.adam.mean)


def test_a_step_in_float32_runs_the_kernels_and_waits_once(cupy):
    want, gradients = a_step(np.asarray, "float64")
    with device.counted() as waits:
        loss, got = a_step(cupy.asarray, "float32")
    assert waits == {"get": 1 + len(tree_leaves(got))}  # `got` is brought home here
    assert device.launches == {
        "causal_conv_forward": 2,
        "causal_conv_backward": 2,
        "selective_scan_forward": 2,
        "selective_scan_backward": 2,
        "adam_update": len(tree_leaves(got)),
    }
    assert abs(loss - want) <= FORWARD * want
    for (path, x), (_, y) in zip(tree_leaves(gradients), tree_leaves(got), strict=True):
        check(y, x, GRADIENT, path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_of_array_code_waits_once_too(cupy, dtype):
    with using(enabled=False), device.counted() as waits:
        _, mean = a_step(cupy.asarray, dtype)
    assert waits == {"get": 1 + len(tree_leaves(mean))} and not device.launches


def test_both_sides_drop_the_same_numbers(cupy):
    dropped = []
    for side in (np.asarray, cupy.asarray):
        for dtype in ("float32", "float64"):
            x = side(np.ones((5, 7), dtype))
            dropped.append(to_host(dropout(x, 0.3, np.random.default_rng(4))[1]) == 0)
    assert all((dropped[0] == other).all() for other in dropped) and 0 < dropped[0].mean() < 0.6


def test_scoring_a_batch_waits_for_the_scores_only(cupy, tmp_path):
    log = write_log(tmp_path)
    config = settings("train.epochs=1", STATES)
    data = open_dataset(log, config.data)
    list(run.train(tmp_path / "run", config, data))
    model, params = run.load_best(tmp_path / "run", config, len(data.seqs.names) - 1, cupy.asarray)
    with device.counted() as waits:
        measure(scorer(model, params), data.seqs, data.split.test, config)
    assert waits == {"get": -(-len(data.split.test) // config.evaluate.batch)}


@pytest.mark.parametrize("sides", [("gpu", "cpu"), ("cpu", "gpu")])
def test_a_run_goes_on_where_it_did_not_begin(tmp_path, sides):
    log, mixed, whole = write_log(tmp_path), tmp_path / "mixed", tmp_path / "whole"
    for side, epochs in zip(sides, (1, 2), strict=True):
        more = (*FLOAT64, f"train.epochs={epochs}")
        assert cli.main([*arguments(log, mixed, *more), "--device", side]) == 0
    assert cli.main([*arguments(log, whole, *FLOAT64), "--device", "cpu"]) == 0
    one, two = (load_arrays(folder / "last.safetensors")[0] for folder in (mixed, whole))
    assert one.keys() == two.keys()
    assert all(abs(one[name] - two[name]).max() <= 1e-13 for name in one)
    results = [json.loads((folder / "result.json").read_text()) for folder in (mixed, whole)]
    assert results[0]["test"] == results[1]["test"] and results[0]["epochs"] == 2


def test_evaluating_and_recommending_give_the_same_on_both_sides(tmp_path, capsys):
    log, folder = write_log(tmp_path), tmp_path / "run"
    assert cli.main([*arguments(log, folder, *FLOAT64), "--device", "gpu"]) == 0
    capsys.readouterr()
    for command in (["evaluate", folder], ["recommend", folder, "--history", "1 2 3", "-k", "4"]):
        printed = []
        for side in ("cpu", "gpu", "auto"):
            assert cli.main([*map(str, command), "--device", side]) == 0
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1] == printed[2] and printed[0]


def test_auto_takes_the_gpu_where_there_is_one(cupy, monkeypatch):
    assert gpu.placement("auto") is cupy.asarray
    monkeypatch.setattr(cupy.cuda, "is_available", lambda: False)
    assert gpu.placement("auto") is np.asarray


def no_compiler(n):
    raise RuntimeError('Failure finding "libnvrtc.so.13": No such file')


@pytest.mark.parametrize(
    "break_it,says",
    [
        (lambda p: p.setitem(cli.sys.modules, "cupy", None), "CuPy is not installed: pip install"),
        (
            lambda p: p.setattr("cupy.cuda.is_available", lambda: False),
            "CuPy finds no CUDA device: is an NVIDIA driver installed?",
        ),
        (lambda p: p.setattr("cupy.arange", no_compiler), "CuPy finds no NVRTC, its compiler"),
    ],
)
def test_a_missing_gpu_is_one_sentence_in_every_command(
    tmp_path, capsys, monkeypatch, break_it, says
):
    break_it(monkeypatch)
    for command in (
        ["train", "--data", "synthetic:1", "--out", tmp_path / "run"],
        ["evaluate", tmp_path],
        ["recommend", tmp_path, "--history", "1"],
    ):
        assert cli.main([*map(str, command), "--device", "gpu"]) == 2
        printed = capsys.readouterr().err
        assert printed.startswith(f"minimamba: --device gpu: {says}") and printed.count("\n") == 1
    assert cli.main(["info"]) == 0
    assert f"{'gpu':20} {says}" in capsys.readouterr().out


def test_info_names_the_gpu(capsys):
    assert cli.main(["info"]) == 0
    assert f"{'gpu':20} A stand-in, sm_90, 0.2 of 1.0 GiB free" in capsys.readouterr().out
