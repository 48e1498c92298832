"""From an equation to its derivation, code, kernel, tests and oracle check; read off the sources.

A public op is a function in minimamba/ops or minimamba/blocks without a leading underscore; its
equations are those that its docstring and body cite. `tables.py` writes what is found here as
tables; tests/docs/test_traceability.py holds it to having no hole.
"""

import ast
import re
from functools import cache
from typing import NamedTuple

from equations import ROOT, citations, definitions
from usage import test_files, tests_of, tree

from minimamba.oracle.contract.spec import CONTRACTS

COMING = re.compile(r"tutorial (\d\d) \(to come\)", re.IGNORECASE)
ROOMS = ("ops", "blocks", "models")


class Op(NamedTuple):
    """One public function and what its source says about it."""

    name: str
    module: str  # "ops.linear"
    equations: tuple
    coming: tuple  # numbers of tutorials that will derive it


@cache
def _cited(path):
    return set(citations(path.read_text()))


@cache
def ops(root=ROOT, rooms=ROOMS[:2]):
    """Return every public function of the rooms, a tuple."""
    paths = (p for room in rooms for p in sorted((root / "minimamba" / room).rglob("*.py")))
    paths = [path for path in paths if not path.name.startswith("_")]
    if "models" in rooms:
        paths += sorted((root / "minimamba").glob("[a-z]*.py"))
    return tuple(op for path in paths for op in _ops_of(path, root))


def _module(path, root):
    return ".".join(path.relative_to(root / "minimamba").with_suffix("").parts)


def _ops_of(path, root):
    text = path.read_text()
    module = _module(path, root)
    coming = tuple(dict.fromkeys(COMING.findall(text)))
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            source = ast.get_source_segment(text, node)
            yield Op(node.name, module, tuple(dict.fromkeys(citations(source))), coming)


def families(root=ROOT):
    """Return every differentiable op as a list of its functions: op, backward, and step if any."""
    everything, exempt = ops(root), reasons(root)
    known = {(op.module, op.name): op for op in everything}
    for op in everything:
        backward = known.get((op.module, f"{op.name}_backward"))
        if backward and f"{op.module}.{op.name}" not in exempt:
            yield [op, backward, *_steps(op, everything)]


def _steps(op, everything):
    """Return the streaming form of an op, which may have a file of its own beside it."""
    room = op.module.split(".")[0]
    return [s for s in everything if s.name == f"{op.name}_step" and s.module.startswith(room)]


def others(root=ROOT):
    """Return {reason: functions} of all that belong to no family: schedules, matrices, views."""
    exempt, found = reasons(root), {}
    taken = {op for family in families(root) for op in family}
    for op in ops(root):
        if op not in taken:
            named = exempt.get(f"{op.module}.{op.name.removesuffix('_backward')}")
            why = exempt.get(f"{op.module}.{op.name}") or named or exempt.get(op.module)
            found.setdefault((op.module, why), []).append(op)
    return found


@cache
def reasons(root=ROOT):
    """Return {function or module: why it has no adjoint}, as tests/test_mirror.py keeps it."""
    path = root / "tests" / "test_mirror.py"
    for node in tree(path).body if path.exists() else ():
        if isinstance(node, ast.Assign) and node.targets[0].id == "NO_OPS":
            return ast.literal_eval(node.value)
    return {}


def lessons(family, root=ROOT):
    """Return the numbers of the notebooks that derive a family's equations, or will."""
    chapters = {int(n.split(".")[0]) for op in family for n in op.equations}
    chapters |= {int(n) for op in family for n in op.coming} if not chapters else set()
    written = {int(p.name[:2]): p.stem for p in (root / "tutorials" / "source").glob("*.md")}
    return [(chapter, written.get(chapter)) for chapter in sorted(chapters)]


def citing(number, pattern, root=ROOT):
    """Return the files below a pattern that cite an equation."""
    return [p for p in sorted(root.glob(pattern)) if number in _cited(p)]


def kernels_of(numbers, root=ROOT):
    """Return the files of minimamba/kernels that compute one of these equations."""
    places = [f"minimamba/kernels/*.{kind}" for kind in ("cu", "py")]
    found = (p.name for place in places for n in numbers for p in citing(n, place, root))
    return list(dict.fromkeys(found))


def contract_of(op):
    """Return the name under which the oracle judges an op, or None: `--op NAME`."""
    base = op.name.removesuffix("_backward")
    forms = {"ops.discretize": "discretize_{}", "blocks.mamba": "{}_block"}
    name = forms.get(op.module, "{}").format(base)
    return name if name in CONTRACTS else None


def equation_rows(root=ROOT):
    """Yield a row for each equation: where it is derived, coded, tested and judged."""
    everything = ops(root, ROOMS)
    for number, source in sorted(definitions(root).items(), key=lambda item: order(item[0])):
        users = sorted((op for op in everything if number in op.equations), key=_sibling)
        cited = [p for p in test_files(root) if number in _cited(p)]
        tests = [p.relative_to(root / "tests").as_posix() for p in cited]
        yield {
            "number": number,
            "derivation": source.stem,
            "code": users,
            "kernels": kernels_of([number], root),
            "tests": list(dict.fromkeys(tests + [t for op in users for t in tests_of(op, root)])),
            "truth": [_module(p, root) for p in citing(number, "minimamba/oracle/**/*.py", root)],
            "contracts": list(dict.fromkeys(filter(None, (contract_of(u) for u in users)))),
        }


def order(number):
    """Return what sorts (2.10) after (2.9), and (3.1a) after (3.1)."""
    chapter, rest = number.split(".")
    return int(chapter), int(re.match(r"\d+", rest)[0]), rest


def _sibling(op):
    """Order a forward function before its backward, and both before the step."""
    return [op.name.endswith(ending) for ending in ("_step", "_backward")]
