"""A GPU that runs out of memory or fails: one sentence, and the last checkpoint goes on."""

import re

import pytest

from minimamba import cli
from minimamba.files import load_arrays
from minimamba.recsys import run
from minimamba.recsys.data.dataset import open_dataset
from tests import cupy_stand_in
from tests.cupy_stand_in import CUDARuntimeError, OutOfMemoryError, device

from .test_device import FLOAT64, arguments
from .test_run import place, settings, write_log


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    return cupy_stand_in.install(monkeypatch)


FAILURES = [
    (
        OutOfMemoryError,
        r"Out of memory allocating [0-9,]+ bytes .*bytes\); "
        r"0.25 of 1.00 GiB would fit: lower the batch",
    ),
    (
        lambda size: CUDARuntimeError("cudaErrorLaunchFailure: unspecified launch failure"),
        "the GPU or its driver failed .CUDARuntimeError: cudaErrorLaunchFailure",
    ),
]


@pytest.mark.parametrize("failure,says", FAILURES, ids=["memory", "driver"])
def test_a_failing_gpu_leaves_the_last_checkpoint_and_the_run_goes_on(
    tmp_path, capsys, failure, says
):
    log, folder, whole = write_log(tmp_path), tmp_path / "run", tmp_path / "whole"
    command = [*arguments(log, folder, *FLOAT64), "--device", "gpu"]
    for after in (5, 2000):  # while the weights are moved there, and in the middle of an epoch
        with device.failing(failure, after):
            assert cli.main(command) == 2
        printed = capsys.readouterr().err
        assert re.match(f"minimamba: {says}", printed) and printed.count("\n") == 1
        saved = folder / "last.safetensors"
        if after == 5:
            assert "nothing was saved yet" in printed and not saved.exists()
    assert f"{saved} is intact, and the same command continues from it" in printed
    epoch, position = place(folder)
    assert epoch == 0 and 0 < position < 9
    assert cli.main(command) == 0 and cli.main([*arguments(log, whole, *FLOAT64)]) == 0
    one, two = (load_arrays(x / "last.safetensors")[0] for x in (folder, whole))
    assert all(abs(one[name] - two[name]).max() <= 1e-13 for name in one)


@pytest.mark.parametrize("failure,says", FAILURES, ids=["memory", "driver"])
def test_a_failing_gpu_is_one_sentence_in_other_commands_too(tmp_path, capsys, failure, says):
    log, folder = write_log(tmp_path), tmp_path / "run"
    assert cli.main(arguments(log, folder, "train.epochs=1")) == 0
    capsys.readouterr()
    for command in (["evaluate", folder], ["recommend", folder, "--history", "1"]):
        with device.failing(failure, after=80):
            assert cli.main([*map(str, command), "--device", "gpu"]) == 2
        printed = capsys.readouterr().err
        assert re.match(f"minimamba: {says}", printed) and printed.count("\n") == 1


def test_an_error_of_our_own_is_not_taken_for_the_gpus(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "open_folder", lambda *x: 1 / 0)
    config = settings()
    with pytest.raises(ZeroDivisionError):
        next(run.train(tmp_path, config, open_dataset("synthetic:1", config.data)))
