"""The oracle on the command line: its exit code, whatever the target does to its process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from minimamba.oracle.command import COULD_NOT, RIGHT, WRONG, from_command_line, run_target

from .schema import conforms


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
    words = [
        f"tests.oracle.examples:{name}",
        "--cases",
        "30",
        "--budget",
        "10",
        "--json",
        str(path),
    ]
    assert from_command_line(words) == expected
    report = json.loads(path.read_text())
    conforms(report)
    assert report["exit_code"] == expected


def test_words_of_the_command_line_are_lists_whether_one_or_many(monkeypatch, capfd):
    monkeypatch.chdir(Path(__file__).parents[2])
    target, few = "tests.oracle.examples:real_only", {"cases": 2, "budget": 5.0}
    assert run_target(target, capabilities="D", dtypes="float32, float64", **few) == RIGHT
    assert "float64" in capfd.readouterr().out
    assert run_target(target, capabilities="", **few) == RIGHT
    assert "skipped  D: not declared" in capfd.readouterr().out
    assert run_target(target, capabilities="D,z", **few) == COULD_NOT
    assert "declared to take z, which is not an argument" in capfd.readouterr().out


@pytest.mark.parametrize("option", ["json_path", "heat"])
def test_a_folder_that_is_not_there_is_said_before_anything_runs(option, capsys):
    assert run_target("no.module:named", **{option: "nowhere/report"}) == COULD_NOT
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_a_process_that_cannot_be_stopped_from_inside_is_ended(tmp_path):
    script = "from minimamba.oracle import command; command.GRACE = 3.0; import sys; sys.exit("
    script += "command.run_target('tests.oracle.stuck:stuck', budget=0.5))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == COULD_NOT and b"it was ended" in done.stderr
