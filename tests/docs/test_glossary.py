"""The glossary's table of old names: what is new is there, and what is old is gone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "glossary.md").read_text().split("## What things were called before")[1]
ROWS = re.findall(r"^\| (.*) \| (.*) \|$", TABLE, re.MULTILINE)[1:]
FILES = re.compile(r"`((?:minimamba|tutorials|benchmarks)/[\w./]*)`")


@pytest.mark.parametrize(("before", "now"), ROWS)
def test_the_new_place_is_there_and_the_old_one_is_gone(before, now):
    assert all((ROOT / path).exists() for path in FILES.findall(now))
    assert not any((ROOT / path).is_file() for path in FILES.findall(before))


def test_the_table_is_read():
    assert len(ROWS) > 10 and sum(bool(FILES.search(now)) for _, now in ROWS) > 10
