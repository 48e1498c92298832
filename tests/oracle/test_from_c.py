"""The worked example of the contract's page: a C program reads a case, answers, and is judged."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from minimamba import oracle

PAGE = Path(__file__).parents[2] / "docs" / "oracle-contract.md"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
RIGHT = "h = expf(step * A[row % d * n + k]) * h + step * B[at] * u[row * l + t];"


def answered(folder, source, seed):
    """Compile the program, run it on a case, and return error over tolerance by name."""
    folder.mkdir()
    (folder / "scan.c").write_text(source)
    flags = ["-O2", "-Wall", "-Werror", "scan.c", "-lm", "-o", "scan"]
    subprocess.run([COMPILER, *flags], cwd=folder, check=True, timeout=60)
    oracle.write_case(folder / "case", seed=seed, capabilities={"always D"})
    subprocess.run(["./scan", "case.bin", "mine.bin"], cwd=folder, check=True, timeout=60)
    return oracle.compare(folder / "mine.bin", folder / "case.bin")


@pytest.mark.skipif(COMPILER is None, reason="this machine has no C compiler")
def test_the_program_of_the_page_is_right_and_an_edit_of_it_is_wrong(tmp_path):
    (source,) = re.findall(r"^```c\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    ratios = [answered(tmp_path / str(seed), source, seed)["out"] for seed in range(6)]
    assert 0 < max(ratios) <= 1
    wrong = source.replace(RIGHT, RIGHT.replace("step * B[at]", "B[at]"))
    assert wrong != source and answered(tmp_path / "wrong", wrong, 2)["out"] > 1e3


def test_the_entry_of_the_page_is_the_entry_that_is_written():
    from minimamba.oracle.exchange import ENTRY, MAGIC

    assert ENTRY.size == 64 + 16 + 7 * 8 == 136 and MAGIC == b"MMCASE01"
