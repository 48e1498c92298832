"""The command line: what it prints, and that every bad input is one sentence and status 2."""

import gzip
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

import minimamba
from minimamba import cli
from minimamba.recsys import demo as demo_module
from minimamba.recsys.data.synthetic import Process

from .recsys.helpers import real
from .recsys.test_run import TINY, write_log

SET = [part for text in TINY for part in ("--set", text)]


def fails(capsys, *argv):
    """Run a command that must fail; return its one sentence."""
    assert cli.main([str(part) for part in argv]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("minimamba: ") and printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    return printed.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    log = write_log(folder)
    arguments = ["train", "--data", str(log), "--out", str(folder / "run"), *SET, "-q"]
    assert cli.main([*arguments, "--set", "train.epochs=1"]) == 0
    return folder / "run"


def test_training_prints_a_line_an_epoch_and_a_table(tmp_path, capsys):
    log = write_log(tmp_path)
    assert cli.main(["train", "--data", str(log), "--out", str(tmp_path / "run"), *SET]) == 0
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert [line[:9] for line in lines] == [f"epoch   {i}" for i in (1, 2, 3)]
    assert all("NDCG@10" in line and "loss" in line for line in lines)
    assert "protocol P1" in printed.out and "Markov chain" in printed.out
    assert json.loads((tmp_path / "run" / "result.json").read_text())["protocol"] == "P1"


def test_on_a_terminal_a_bar_shows_the_loss_and_the_epochs_above_it(tmp_path, capsys, monkeypatch):
    terminal = partial(Console, force_terminal=True, width=110)
    monkeypatch.setattr("minimamba.recsys.progress.Console", terminal)
    log = write_log(tmp_path)
    assert cli.main(["train", "--data", str(log), "--out", str(tmp_path / "run"), *SET]) == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "epoch 3 of at most 3" in shown and "steps/s" in shown and "loss" in shown
    assert shown.count("NDCG@10") == 3


def test_a_toml_file_and_set_are_combined(tmp_path, capsys):
    config = tmp_path / "run.toml"
    config.write_text("[model]\nstate = 3\nwidth = 6\n")
    arguments = ["train", "--data", str(write_log(tmp_path)), "--config", str(config)]
    more = ["--set", "model.width=4", "--set", "train.epochs=1", "--set", "data.core=1"]
    small = ["--set", "model.length=6", "--set", "train.batch=64"]
    assert cli.main([*arguments, *more, *small, "--out", str(tmp_path / "run"), "-q"]) == 0
    written = (tmp_path / "run" / "config.toml").read_text()
    assert "state = 3" in written and "width = 4" in written


def test_recommend_prints_items_and_says_what_it_cut(trained, capsys):
    history = "1 2 3 4 5 6 7 8"
    arguments = ["recommend", str(trained), "--history", history, "-k", "3", "--repeats"]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    assert "the history has 8 items; the last 6 are used" in printed.err
    assert "recommended next" in printed.out and "%" in printed.out


def test_evaluate_prints_every_protocol_by_name(trained, capsys):
    assert cli.main(["evaluate", str(trained)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("P1", "masked", "sampled"))


def test_report_draws_and_compares(trained, capsys):
    assert cli.main(["report", str(trained)]) == 0
    assert "filter.png" in capsys.readouterr().out
    assert cli.main(["report", str(trained), "--no-plots"]) == 0


def test_data_info_and_info_say_what_there_is(tmp_path, capsys):
    assert cli.main(["data", "info", str(write_log(tmp_path)), "--core", "1"]) == 0
    assert "format pairs" in capsys.readouterr().out
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "numpy" in printed and "gpu" in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "the file is empty"),
        (b"\x00\x01\x02\x03", "binary file"),
        (gzip.compress(b"1 2\n" * 99, mtime=0)[:-5], "cut off or damaged"),
        (b"1\t2\t3\t4\n1\t2\t3\n1\t2\t3\t4\n", "line 2: 3 columns, expected 4"),
        (b"1\t2\t3\tnoon\n", "line 1: a whole number as time, not 'noon', was expected"),
        (b"1 2\n3 4\n", "no user is left after the 5-core"),
    ],
)
def test_a_bad_log_is_one_sentence_and_status_2(tmp_path, capsys, content, message):
    log = tmp_path / "log"
    if content is not None:
        log.write_bytes(content)
    assert message in fails(capsys, "train", "--data", log, "--out", tmp_path / "run")
    assert message in fails(capsys, "data", "info", log)
    assert not (tmp_path / "run").exists()


def test_other_bad_inputs_are_one_sentence_and_status_2(trained, tmp_path, capsys):
    log = trained.parent / "log.txt"
    again = ["train", "--data", log, "--out", trained, *SET]
    assert "item '99' is not one" in fails(capsys, "recommend", trained, "--history", "1 99")
    assert "model.state = 2, but model.state = 5" in fails(capsys, *again, "--set", "model.state=5")
    assert "did you mean 'state'" in fails(capsys, *again, "--set", "model.stat=5")
    assert "leakage" in fails(
        capsys, *again[:4], tmp_path / "x", "--set", "train.loss=all_positions"
    )
    assert "is this a run folder" in fails(capsys, "report", tmp_path / "none")
    assert "evaluate.protocol is 'P7'" in fails(capsys, "evaluate", trained, "--protocol", "P7")
    assert "synthetic:" in fails(capsys, "data", "info", "synthetic:one")


def test_a_loss_that_is_not_finite_is_one_sentence(tmp_path, capsys):
    log = write_log(tmp_path)
    arguments = ["train", "--data", log, "--out", tmp_path / "run", *SET, "-q"]
    message = fails(capsys, *arguments, "--set", "train.lr=1e30")
    assert "in epoch 1, step" in message and "smaller train.lr" in message


def test_gpu_without_one_says_why(trained, capsys, monkeypatch):
    monkeypatch.setattr("minimamba.gpu.unavailable", lambda: "there is none here")
    message = fails(capsys, "evaluate", trained, "--device", "gpu")
    assert "--device gpu: there is none here" in message
    assert cli.main(["evaluate", str(trained), "--device", "auto"]) == 0


def test_the_oracle_gets_its_options_and_gives_the_status(monkeypatch):
    from minimamba.oracle import command
    from minimamba.oracle.job import Job

    asked = []
    monkeypatch.setattr(command, "judge", lambda *given: asked.append(given) or 1)
    words = ["oracle", "package.module:scan", "--layout", "bld", "--json", "report.json"]
    assert cli.main(words) == 1
    assert asked == [("package.module:scan", Job(layout="bld"), "report.json", None)]


@pytest.mark.parametrize(
    "command", ["demo", "train", "evaluate", "recommend", "report", "data info", "info", "oracle"]
)
def test_help_prints_every_default(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    options = [line for line in printed.splitlines() if line.startswith("  --")]
    assert printed.count("default:") >= len([o for o in options if "--help" not in o]) // 2
    if command == "train":
        assert "model.state=32" in printed and "train.checkpoint=60.0" in printed


def test_nothing_asked_for_is_status_2(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2


def test_the_package_can_be_run():
    root = Path(minimamba.__file__).parents[1]
    process = subprocess.run(
        [sys.executable, "-m", "minimamba", "recommend", "no-run", "--history", "1"],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2 and process.stderr.count("\n") == 1


def test_a_small_demo_runs_from_end_to_end(tmp_path, capsys, monkeypatch):
    small = Process(users=60)
    monkeypatch.setattr("minimamba.recsys.data.synthetic.Process", lambda: small)
    monkeypatch.setattr(demo_module, "Process", lambda: small)
    sizes = ("train.epochs=1", "model.length=8", "model.width=8", "model.state=2")
    settings = [part for text in sizes for part in ("--set", text)]
    for _ in "ab":  # a finished demo is replaced
        assert cli.main(["demo", "--out", str(tmp_path / "demo"), *settings]) == 0
        printed = capsys.readouterr()
        rows = ("popularity", "Markov chain", "EchoMamba4Rec", "best possible")
        places = [printed.out.index(f"│ {row}") for row in rows]
        assert places == sorted(places) and "epoch   1" in printed.err
        assert "receptive_field.png" in printed.out and "clicked ..." in printed.out


@pytest.mark.realdata
def test_titles_of_a_real_item_file_are_shown(tmp_path, capsys):
    log = real("ml-100k", "u.data")
    small = ["model.length=3", "model.width=2", "model.state=1", "data.min_rating=5"]
    small += ["train.batch=2048", "train.epochs=1"]
    chosen = [part for text in small for part in ("--set", text)]
    arguments = ["train", "--data", str(log), "--out", str(tmp_path), *chosen, "-q"]
    assert cli.main(arguments) == 0
    assert "1,682" in capsys.readouterr().out
    assert cli.main(["recommend", str(tmp_path), "--history", "12 50 7", "-k", "3"]) == 0
    assert "Monkeys" in capsys.readouterr().out
