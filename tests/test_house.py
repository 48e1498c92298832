"""The house around the library: packages, commands and their refusals say the same everywhere."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"matplotlib-base": "matplotlib"}
DEVELOPERS = ("tutorials", "test")


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
