"""Everything public has what belongs to it: an adjoint, a case, a test file, an equation, a lesson.

What has not is written down below with its reason, and an entry that is needed no more is an error.
"""

import ast
import importlib
import inspect
import json
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest

import minimamba.blocks
import minimamba.ops
from minimamba import HOME
from tests.cases import collect

ROOT = Path(__file__).parent.parent
SIBLINGS = ("_backward", "_step")

# Public functions that are no differentiable ops. A module stands for all its functions.
NO_OPS = {
    "ops.hippo": "makes matrices out of a size",
    "ops.adam": "moves parameters against gradients; nothing is differentiated through it",
    "ops.recurrence.combine": "the operator that the schedules are made of",
    "ops.recurrence.sequential": "orders the work of a recurrence, which has the adjoint",
    "ops.recurrence.hillis_steele": "orders the work of a recurrence",
    "ops.recurrence.blelloch": "orders the work of a recurrence",
    "ops.recurrence.chunked": "orders the work of a recurrence",
    "ops.recurrence.work_and_depth": "counts what an order costs",
    "ops.selective.chunks": "the inside of selective_scan, which has the adjoint",
    "ops.selective.plan": "the sizes and the memory of selective_scan",
    "ops.selective.memory": "where the work arrays of selective_scan lie",
    "blocks.init": "draws parameters",
    "ops.lti.convolve_direct": "a way to compute causal_convolution",
    "ops.lti.convolve_fft": "a way to compute causal_convolution",
    "ops.spectral.dense": "a way to compute spectral_filter",
    "ops.spectral.fourier": "a way to compute spectral_filter",
    "ops.spectral.circulant": "a way to compute spectral_filter",
    "ops.spectral.way": "chooses one of them",
    "ops.phi.phi1": "a function of discretize, whose slope stands beside it",
    "ops.phi.phi1_slope": "the slope of phi1",
    "ops.selective.naive.check_inputs": "says what is wrong with an argument",
    "ops.selective.naive.check_cotangents": "says what is wrong with an argument",
    "blocks.mamba.split_selected": "a view",
    "blocks.mamba.zero_state": "makes zeros",
    "blocks.sequence.flip_valid": "a permutation, its own adjoint",
    "blocks.sequence.flip_window": "a permutation, its own adjoint",
    "blocks.read.read_last": "chooses positions",
    "blocks.read.read_ends": "chooses positions",
    "blocks.read.at": "the lookup inside bidirectional_read, which has the case",
    "blocks.read.causal_read_backward": "one half of bidirectional_read_backward",
    "blocks.read.anticausal_read_backward": "one half of bidirectional_read_backward",
    "blocks.echo.filter_and_mix": "the first half of echo_block, which has the case",
    "blocks.echo.filter_and_mix_backward": "the first half of echo_block_backward",
    "blocks.echo.gate": "the second half of echo_block",
    "blocks.echo.gate_backward": "the second half of echo_block_backward",
}
# Modules that are tested through the op they are the inside of.
INSIDE = {"ops.selective.chunks", "ops.selective.plan"}
# Ops that the tutorials of their equations do not import.
NO_LESSON = {
    "mamba_last": "mamba at one row; tutorial 07 derives its closed form",
    "impulse_response_dense": "tutorial 05 shows the diagonal system; this is its dense sibling",
    "bidirectional_read": "bidirectional at one row; tutorial 07 derives it, 11 uses echo_encode",
    "echo_block_read": "echo_block at one row; tutorial 07 derives it, 11 uses echo_encode",
}


def public_functions():
    """Return {'ops.linear.linear': function} of what ops and blocks define and do not hide."""
    found = {}
    for package in (minimamba.ops, minimamba.blocks):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            module = importlib.import_module(info.name)
            if not info.name.split(".")[-1].startswith("_"):
                for name, function in inspect.getmembers(module, inspect.isfunction):
                    if function.__module__ == info.name and not name.startswith("_"):
                        found[f"{info.name}.{name}".removeprefix("minimamba.")] = function
    return found


def tutorials():
    """Return {number: 'ops.linear.linear' of what is imported, from its home or from the face}."""
    found = {}
    for path in sorted((ROOT / "tutorials").glob("[0-9][0-9]-*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        tree = ast.parse(re.sub(r"^\s*[%!].*", "", code, flags=re.MULTILINE))
        froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        ours = [n for n in froms if (n.module or "").startswith("minimamba")]
        taken = [(n.module, alias.name) for n in ours for alias in n.names]
        homes = [
            f"{HOME.get(name, module) if module == 'minimamba' else module}.{name}"
            for module, name in taken
        ]
        found[int(path.name[:2])] = {home.removeprefix("minimamba.") for home in homes}
    return found


def named_modules(node):
    """Return what `from minimamba.a.b import c` may name: a.b and a.b.c."""
    module = node.module.removeprefix("minimamba.")
    return {module} | {f"{module}.{alias.name}" for alias in node.names}


@cache
def modules_with_tests():
    """Return the modules that a test in the folder of their package imports."""
    found = set()
    for path in (ROOT / "tests").glob("*/**/test_*.py"):
        room = list(path.relative_to(ROOT / "tests").parts[:-1])
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {m for m in named_modules(node) if m.split(".")[:-1] == room}
    return found


PUBLIC = public_functions()
NAMES = {path.split(".")[-1] for path in PUBLIC}
EXPOSED = [p for p in PUBLIC if p not in NO_OPS and p.rsplit(".", 1)[0] not in NO_OPS]
OPS = [path for path in EXPOSED if not path.endswith(SIBLINGS)]
ADJOINTS = [f"{path}_backward" for path in OPS]
every_op = pytest.mark.parametrize("path", OPS)


@every_op
def test_every_op_has_its_adjoint_beside_it(path):
    assert f"{path}_backward" in PUBLIC


@every_op
def test_every_op_has_a_case_for_the_laws(path):
    assert path.split(".")[-1] in {re.split("[- ]", case.name)[0] for case in collect()}


@pytest.mark.parametrize("path", [path for path in EXPOSED if path.endswith(SIBLINGS)])
def test_every_adjoint_and_step_belongs_to_an_op(path):
    assert re.sub("_(backward|step)$", "", path.split(".")[-1]) in NAMES


@pytest.mark.parametrize("path", [*OPS, *ADJOINTS])
def test_every_op_and_adjoint_cites_its_equation(path):
    assert re.search(r"Eqs?\. \(\d+\.\d+", inspect.getdoc(PUBLIC[path]) or "")


@every_op
def test_every_op_is_imported_by_the_tutorial_of_its_equation(path):
    name, lessons = path.split(".")[-1], tutorials()  # by the full path: names may repeat
    chapters = {int(n) for n in re.findall(r"\((\d+)\.\d+", inspect.getdoc(PUBLIC[path]))}
    written = chapters & set(lessons)
    if not written:
        pytest.skip(f"tutorial {sorted(chapters)} is not written yet")
    taught = any(path in lessons[n] for n in written)
    assert taught != (name in NO_LESSON), "not imported" if not taught else "NO_LESSON is stale"


@pytest.mark.parametrize("module", sorted({path.rsplit(".", 1)[0] for path in PUBLIC} - INSIDE))
def test_every_module_has_tests_in_the_folder_of_its_package(module):
    assert module in modules_with_tests()


def test_every_exception_is_still_one():
    modules = {path.rsplit(".", 1)[0] for path in PUBLIC}
    assert [entry for entry in NO_OPS if entry not in PUBLIC and entry not in modules] == []
    assert [name for name in NO_LESSON if name not in NAMES] == []
