"""The face: a few names, each once and from its home, rooms on demand, and a quick import."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import minimamba

ROOT = Path(__file__).parent.parent


def fresh(code):
    """Run code in a new process of this environment; return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", minimamba.HOME)
def test_every_name_comes_from_the_module_that_defines_it(name):
    found = getattr(minimamba, name)
    if isinstance(found, ModuleType):
        assert found.__name__ == f"{minimamba.HOME[name]}.{name}"
    else:
        assert found.__module__ == minimamba.HOME[name] and found.__name__ == name


def test_the_face_is_small_and_names_nothing_twice():
    names = [name for names in minimamba.FACE.values() for name in names.split()]
    assert len(names) == len(set(names)) <= 40
    assert set(minimamba.__all__) == {*names, *minimamba.ROOMS} <= set(dir(minimamba))


def test_an_op_stands_there_with_its_adjoint():
    for name in minimamba.HOME:
        home = importlib.import_module(minimamba.HOME[name])
        if hasattr(home, f"{name}_backward"):
            assert f"{name}_backward" in minimamba.HOME


@pytest.mark.parametrize("room", minimamba.ROOMS)
def test_a_room_is_there_when_it_is_asked_for(room):
    code = f"import minimamba; print(minimamba.{room}.__name__)"
    assert fresh(code).strip() == f"minimamba.{room}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(ROOT.glob("tutorials/source/*.md"))])
def test_pages_import_from_the_face_what_it_has(page):
    pattern = r"^from (minimamba\.[\w.]+) import (\([^)]*\)|.*)$"
    for module, names in re.findall(pattern, page.read_text(), re.MULTILINE):
        assert not [n for n in re.findall(r"\w+", names) if minimamba.HOME.get(n) == module]


def test_no_name_hides_a_module():
    modules = {info.name for info in pkgutil.iter_modules(minimamba.__path__)}
    assert not modules & set(minimamba.HOME)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'minimamba' has no attribute 'mamba4'"):
        minimamba.mamba4  # noqa: B018
    with pytest.raises(ImportError, match="mamba4"):
        from minimamba import mamba4  # noqa: F401


def test_importing_loads_nothing_and_the_names_neither_matplotlib_nor_rich():
    loaded = set(fresh("import sys, minimamba; print(*sys.modules)").split())
    assert {name for name in loaded if name.split(".")[0] == "minimamba"} == {"minimamba"}
    assert not loaded & {"numpy", "matplotlib", "rich"}
    asked = "import sys, minimamba as m; [getattr(m, name) for name in m.HOME]; print(*sys.modules)"
    loaded = set(fresh(asked).split())
    assert set(minimamba.HOME.values()) <= loaded
    assert not loaded & {"matplotlib", "rich", "cupy", "torch"}
