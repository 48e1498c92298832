"""The oracle on the command line: its exit code, whatever the target does to its process."""

import json
from pathlib import Path

import pytest

from minimamba import cli
from minimamba.oracle import command
from minimamba.oracle.command import COULD_NOT, RIGHT, WRONG, judge
from minimamba.oracle.job import Job

from .schema import conforms


def ask(name, *options):
    return cli.main(["oracle", f"tests.oracle.examples:{name}", *options])


@pytest.mark.parametrize(
    "name, expected",
    [
        ("good", RIGHT),
        ("wrong_group_order", WRONG),
        ("dies", COULD_NOT),
        ("leaves", COULD_NOT),
        ("absent", COULD_NOT),
    ],
)
def test_the_command_line_exits_with_the_verdict(name, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    path = tmp_path / "report.json"
    assert ask(name, "--cases", "30", "--budget", "10", "--json", str(path)) == expected
    report = json.loads(path.read_text())
    conforms(report)
    assert report["exit_code"] == expected


def test_words_of_the_command_line_are_lists_whether_one_or_many(monkeypatch, capfd):
    monkeypatch.chdir(Path(__file__).parents[2])
    few = ("real_only", "--cases", "2", "--budget", "5", "--capabilities")
    assert ask(*few, "D", "--dtypes", "float32, float64") == RIGHT
    assert "float64" in capfd.readouterr().out
    assert ask(*few, "") == RIGHT
    assert "skipped  D: not declared" in capfd.readouterr().out
    assert ask(*few, "D,z") == COULD_NOT
    assert "declared to take z, which is not an argument" in capfd.readouterr().out


@pytest.mark.parametrize("option", ["json", "heat"])
def test_a_folder_that_is_not_there_is_said_before_anything_is_called(option, capsys):
    assert judge("no.module:named", Job(), **{option: "nowhere/report"}) == COULD_NOT
    assert f"--{option}: there is no folder nowhere" in capsys.readouterr().err


def test_a_process_that_cannot_be_stopped_from_inside_is_ended(monkeypatch, capfd):
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(command, "GRACE", 3.0)
    assert judge("tests.oracle.stuck:stuck", Job(budget=0.5)) == COULD_NOT
    assert "no answer after 3.5 s, it was ended" in capfd.readouterr().err


def test_a_target_may_be_a_file_of_the_folder_one_stands_in(tmp_path, monkeypatch, capfd):
    (tmp_path / "beside.py").write_text("def scan(u, delta, A, B, C):\n    raise OSError('here')\n")
    monkeypatch.chdir(tmp_path)
    assert judge("beside:scan", Job()) == COULD_NOT
    assert "raised OSError: here" in capfd.readouterr().out
