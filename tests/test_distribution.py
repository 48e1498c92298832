"""What is handed on: an archive of the sources, and a wheel that works where nothing else lies."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import minimamba

ROOT = Path(__file__).parent.parent
BUILD = "import sys; from setuptools import build_meta; print(build_meta.{}(sys.argv[1]))"
# A function for the oracle that is right, and one that forgets its skip connection.
MINE = """
from minimamba.ops.selective.scan import selective_scan


def right(u, delta, A, B, C, D=None):
    return selective_scan(u, delta, A, B, C, D)[0]


def wrong(u, delta, A, B, C, D=None):
    return selective_scan(u, delta, A, B, C)[0]
"""


def run(*command, **options):
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def files_of_the_checkout():
    """Return the files that git knows, or skip: an archive may be tested without its history."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout of git's")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Build the source archive, in a copy of the checkout; return the folder it unpacks to."""
    folder = tmp_path_factory.mktemp("archive")
    other = (".git", ".venv", "_build", "build", "runs", "gpu-check", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder / "house", ignore=shutil.ignore_patterns(*other))
    run(sys.executable, "-c", BUILD.format("build_sdist"), str(folder), cwd=folder / "house")
    (packed,) = folder.glob("*.tar.gz")
    with tarfile.open(packed) as file:
        file.extractall(folder, filter="data")
    return folder / packed.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(archive):
    """Build the wheel from what the archive holds."""
    run(sys.executable, "-c", BUILD.format("build_wheel"), str(archive.parent), cwd=archive)
    (built,) = archive.parent.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel into an environment of its own; return how a command is run there.

    What it depends on is lent by the environment of this test, by path: no network is needed.
    """
    place = tmp_path_factory.mktemp("a stranger's place")
    # Nothing leads back to the checkout, where the package would count as installed already.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    run(sys.executable, "-m", "venv", "--without-pip", str(place / "venv"))
    python = place / "venv" / "bin" / "python"
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index"]
    else:
        command = [shutil.which("uv"), "pip", "install", "--python", str(python), "--offline"]
    run(*command, "--no-deps", str(wheel), cwd=place, env=inherited)
    site = run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = {"cwd": place, "env": inherited | {"MPLBACKEND": "Agg"}}

    def call(name, *arguments):
        return subprocess.run(
            [str(python.with_name(name)), *arguments], capture_output=True, text=True, **options
        )

    return call


def test_the_archive_holds_every_file_of_the_checkout(archive):
    missing = [name for name in files_of_the_checkout() if not (archive / name).is_file()]
    assert missing == []


def test_the_wheel_holds_the_package_its_kernels_and_its_licence_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    info = f"minimamba_reference-{minimamba.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"minimamba", info}
    package = [p for p in (ROOT / "minimamba").rglob("*") if p.suffix in (".py", ".cu")]
    assert {p.relative_to(ROOT).as_posix() for p in package} == {n for n in names if info not in n}
    assert f"{info}/licenses/LICENSE" in names


def test_the_installed_package_is_the_wheels(installed):
    about = "import minimamba, importlib.metadata as m; print(minimamba.__file__)"
    about += "; print(m.version('minimamba-reference'))"
    found = installed("python", "-c", about)
    path, version = found.stdout.splitlines()
    assert "a stranger's place" in path and version == minimamba.__version__


def test_the_installed_demo_trains_and_draws(installed):
    small = ("train.epochs=1", "model.length=8", "model.width=4", "model.state=2")
    settings = [part for text in small for part in ("--set", text)]
    done = installed("minimamba", "demo", "--out", "demo", *settings)
    assert done.returncode == 0 and "best possible" in done.stdout, done.stderr
    assert "receptive_field.png" in done.stdout


def test_the_installed_oracle_judges_a_function_of_the_current_folder(installed):
    place = Path(installed("python", "-c", "import os; print(os.getcwd())").stdout.strip())
    (place / "mine.py").write_text(MINE)
    options = ("--layout", "bld", "--dtypes", "float64", "--budget", "3")
    right = installed("minimamba", "oracle", "mine:right", *options)
    assert right.returncode == 0, right.stdout + right.stderr
    wrong = installed("minimamba", "oracle", "mine:wrong", *options)
    assert wrong.returncode == 1 and "D" in wrong.stdout, wrong.stdout + wrong.stderr


@pytest.mark.parametrize("command", [(), ("demo",), ("train",), ("oracle",), ("info",)])
def test_the_installed_commands_explain_themselves(installed, command):
    done = installed("minimamba", *command, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: minimamba")
    if command == ("train",):
        assert "train.checkpoint=60.0" in done.stdout
    if not command:
        assert "need a checkout" in " ".join(done.stdout.split())


def test_the_distribution_has_a_name_of_its_own_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "minimamba-reference"
    for name in files_of_the_checkout():
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        for line in text.splitlines():
            assert not tells_to_install_a_strangers_package(line), f"{name}: {line}"


def tells_to_install_a_strangers_package(line):
    """Say whether a line installs `minimamba`, which is another project on the public index."""
    installs = re.search(r"\b(pip3?|uv|conda|mamba|pipx|poetry)\b.*\b(install|add|create)\b", line)
    return installs and re.search(r"(?<![\w./-])minimamba(?![\w./:-])", line[installs.end() :])


@pytest.mark.parametrize("before", ["pip install ", 'uv pip install "', "conda install -c x "])
def test_such_a_line_is_found(before):
    assert tells_to_install_a_strangers_package(f"{before}minimamba")
    assert tells_to_install_a_strangers_package(f"{before}minimamba[test]")
    assert not tells_to_install_a_strangers_package(f"{before}minimamba-reference[test]")
    assert not tells_to_install_a_strangers_package(f"{before}-e .  # then import minimamba_")
