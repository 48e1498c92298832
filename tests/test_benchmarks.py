"""The one door to the benchmarks: what it lists, what it refuses, and that it pins a process."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import __main__ as door

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", door.BENCHMARKS)
def test_every_name_leads_to_a_main(name):
    assert callable(import_module(door.BENCHMARKS[name][0]).main)


def test_asked_for_nothing_it_lists_every_name_with_its_question(capsys):
    assert door.main([]) == 0 == door.main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed and q in printed for name, (_, q) in door.BENCHMARKS.items())


@pytest.mark.parametrize(
    "argv,says",
    [
        (["selectiv"], "no benchmark is called 'selectiv'; did you mean selective?"),
        (["zzz"], "no benchmark is called 'zzz'; known are scan, selective, "),
        (["passes", "--device", "gpu"], "passes takes no --device gpu; scan, selective, step, "),
    ],
)
def test_what_is_not_there_is_refused_in_one_sentence(argv, says, capsys):
    assert door.main(argv) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"benchmarks: {says}") and printed.count("\n") == 1


def test_a_benchmark_runs_on_one_core_with_one_thread(tmp_path, monkeypatch):
    monkeypatch.delenv("MINIMAMBA_PINNED", raising=False)
    command = [sys.executable, "-m", "benchmarks", "scan", "--quick", "--dtypes", "float32"]
    command += ["--shapes", "0", "--seconds", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "hillis_steele" in done.stdout and "memcpy of b" in done.stdout
    shown = "import os, benchmarks.__main__ as d; d.pin(); print(os.environ['OMP_NUM_THREADS'])"
    done = subprocess.run([sys.executable, "-c", shown], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "1\n"
