"""The house around the library: packages, commands and their refusals say the same everywhere."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"matplotlib-base": "matplotlib"}
DEVELOPERS = ("tutorials", "test")
HOUSE = runpy.run_path(str(ROOT / ".ci" / "house.py"))["House"]


def split(requirement):
    """Split 'name[extra]>=1,<2' into its name and the set of its conditions."""
    name, conditions = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?(.*)", requirement).groups()
    return CONDA_NAMES.get(name, name), frozenset(filter(None, conditions.split(",")))


def environment_requirements():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    entries = [m[1] for line in lines if (m := re.fullmatch(r"\s+- (.+)", line))]
    return {split(e) for e in entries if e not in ("conda-forge", "pip", "pip:", "-e .")}


def test_environment_yml_says_the_same_as_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [f"python{project['requires-python']}", *project["dependencies"]]
    for extra in DEVELOPERS:
        wanted += project["optional-dependencies"][extra]
    assert environment_requirements() == {split(r) for r in wanted}


def test_every_extra_that_make_installs_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = set(re.findall(r"\$\(VENV\) ([a-z]+)", (ROOT / "Makefile").read_text()))
    assert asked - {"base"} <= set(extras["optional-dependencies"])
    assert asked >= {"base", "test", "tutorials", "docs", "peers"}


def copy_house(tmp_path):
    """Copy what `make` needs below a folder with a space in its name."""
    house = tmp_path / "a path with spaces"
    house.mkdir()
    shutil.copytree(ROOT / ".ci", house / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, house / name)
    (house / "minimamba").mkdir()
    (house / "minimamba" / "__init__.py").write_text("")
    return house


def bring_up(house, **environment):
    """Run .ci/venv.py with nothing but the given environment."""
    command = [sys.executable, ".ci/venv.py", "base"]
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)


def test_a_fresh_stamp_needs_no_network_and_no_path(tmp_path):
    house = copy_house(tmp_path)
    (house / ".venv" / "bin").mkdir(parents=True)
    (house / ".venv" / "bin" / "python").symlink_to(sys.executable)
    stamp = subprocess.run(
        [
            sys.executable,
            "-c",
            "import runpy; print(runpy.run_path('.ci/venv.py')['stamp_text']())",
        ],
        cwd=house,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (house / ".venv" / ".ready-base").write_text(stamp)
    done = bring_up(house, PATH="")
    assert (done.returncode, done.stderr) == (0, "")


def test_no_network_is_one_sentence(tmp_path):
    house = copy_house(tmp_path)
    done = bring_up(
        house,
        PATH="/usr/bin:/bin",
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS="",
        HOME="/nowhere",
        PIP_CONFIG_FILE=os.devnull,
    )
    assert done.returncode == 2
    assert "no package registry answered" in done.stderr.splitlines()[-1]


def test_an_old_python_gets_a_sentence_and_the_file_parses_for_it(tmp_path):
    source = (ROOT / ".ci" / "venv.py").read_text()
    compile(source, "venv.py", "exec", flags=0, dont_inherit=True)
    assert "match " not in source and ":=" not in source
    old = source.replace("sys.version_info >= OLDEST", "False")
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "venv.py").write_text(old)
    done = subprocess.run(
        [sys.executable, ".ci/venv.py"],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "Python 3.11 or newer is needed" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_checkout_is_one_sentence(tmp_path):
    house = copy_house(tmp_path)
    house.chmod(0o555)
    done = bring_up(house, PATH="/usr/bin:/bin")
    assert done.returncode == 2 and "cannot be written here" in done.stderr


def test_the_house_has_nothing_that_it_must_not_have():
    found = HOUSE(ROOT).zeros()
    assert not any(found.values()), "\n".join(
        line for what, places in found.items() if places for line in [what, *places]
    )


def plant(root, files):
    """Write {name without .py: text} and read it as a house."""
    for name, text in files.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return HOUSE(root)


def test_what_is_code_is_counted_and_nothing_else(tmp_path):
    text = '''"""A docstring

    of three lines."""

import os  # an import
from os import (
    path,
)

# a comment
def f(x):
    "One more."
    text = """two
    lines"""

    return text  # a comment beside code
'''
    [source] = plant(tmp_path, {"minimamba/a": text}).files.values()
    assert source.counts == {"files": 1, "lines": 16, "code": 4, "docstring": 4}


def test_a_long_file_is_one_of_more_than_250_lines_of_code(tmp_path):
    long, longer = "x = 1\n" * 250 + "# no code\n" * 99, "x = 1\n" * 251
    found = plant(tmp_path, {"tests/a": long, "tests/b": longer}).zeros()
    assert found["files over 250 lines of code"] == ["tests/b.py: 251"]
    assert found["files over 200 lines of code"] == ["tests/a.py: 250", "tests/b.py: 251"]


def test_an_import_that_climbs_is_found_inside_a_function(tmp_path):
    text = "def f():\n    from minimamba.blocks import gru\n"
    files = {"minimamba/ops/a": text, "minimamba/blocks/gru": "", "minimamba/cli": ""}
    house = plant(tmp_path, files)
    assert house.climbing() == ["minimamba/ops/a.py -> minimamba/blocks/gru.py"]
    house = plant(tmp_path, {"minimamba/__init__": "", "minimamba/ops/a": "import minimamba"})
    assert house.climbing() == ["minimamba/ops/a.py -> minimamba/__init__.py"]
    version = "from minimamba import __version__"
    house = plant(tmp_path, {"minimamba/trees": "import minimamba.cli", "minimamba/ops/a": version})
    assert house.climbing() == ["minimamba/trees.py -> minimamba/cli.py"]


def test_circles_of_files_and_of_folders_are_told_apart(tmp_path):
    below = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from minimamba.ops import b"
    house = plant(tmp_path, {"minimamba/ops/a": below, "minimamba/ops/b": "import minimamba.ops.a"})
    assert house.circles() == ["minimamba/ops/a.py, minimamba/ops/b.py"]
    assert house.folder_circles() == []
    one, two = "from minimamba.kernels import c", "from minimamba.ops import b"
    files = {"minimamba/ops/a": one, "minimamba/ops/b": ""}
    house = plant(tmp_path, {**files, "minimamba/kernels/c": "", "minimamba/kernels/d": two})
    assert (house.circles(), house.folder_circles()) == ([], ["minimamba/kernels, minimamba/ops"])


def test_a_room_of_tests_may_use_its_neighbours_but_not_in_a_circle(tmp_path):
    files = {"benchmarks/a": "import tests.kernels.b", "tests/kernels/b": ""}
    assert plant(tmp_path, {**files, "tests/ops/c": "import benchmarks.a"}).folder_circles() == []
    house = plant(tmp_path, {"tests/kernels/d": "import benchmarks.a"})
    assert house.folder_circles() == ["benchmarks, tests in kernels"]


@pytest.mark.parametrize("text", ["", "__all__ = ['f']\ng = f"], ids=["never used", "listed"])
def test_a_function_that_is_passed_on_has_two_addresses(tmp_path, text):
    files = {"minimamba/a": "def f(): pass", "minimamba/b": f"from minimamba.a import f\n{text}"}
    house = plant(tmp_path, files | {"minimamba/__init__": "from minimamba.a import f"})
    assert house.second_addresses() == ["minimamba/a.py: f, also in minimamba/b.py"]


def test_a_function_that_is_taken_from_who_only_uses_it_has_two_addresses(tmp_path):
    files = {"minimamba/a": "def f(): pass", "minimamba/b": "from minimamba.a import f\ng = f"}
    house = plant(tmp_path, files | {"minimamba/c": "from minimamba.b import f as h\nh()"})
    assert house.second_addresses() == ["minimamba/a.py: f, also in minimamba/b.py"]


def test_a_function_that_is_used_has_one_address_and_the_faces_may_name_it(tmp_path):
    files = {"minimamba/a": "def f(): pass", "minimamba/b": "from minimamba.a import f\nf()"}
    files["minimamba/oracle/__init__"] = "from minimamba.a import f"
    files["tests/c"] = "from minimamba.oracle import f\nf()"
    assert plant(tmp_path, files).second_addresses() == []


def test_a_field_typed_object_is_found_in_any_annotation(tmp_path):
    house = plant(tmp_path, {"minimamba/a": "class C:\n    x: object | None = None\n    y: int\n"})
    assert house.zeros()["fields typed object"] == ["minimamba/a.py: C.x"]


def test_the_house_is_printed_as_a_table():
    command = [sys.executable, "-I", str(ROOT / ".ci" / "house.py"), str(ROOT)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^minimamba/ops +\d+ +\d+ +\d+ +\d+ +\d+$", out, re.MULTILINE)
    assert re.search(r"^all of minimamba ", out, re.MULTILINE)
    assert re.search(r"^names on the face: \d+$", out, re.MULTILINE)
