"""Which functions of the library a test file uses: read off its imports, so that names may repeat.

A name counts for the module that defines it, whichever module the test took it from: the face
names some again, and two modules may use one name.
"""

import ast
from functools import cache

from equations import ROOT

from minimamba import HOME

LIBRARY = "minimamba"


@cache
def tree(path):
    """Parse a file once."""
    return ast.parse(path.read_text())


def file_of(module, root=ROOT):
    """Return the file of a dotted module, or None if there is none."""
    base = root.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def imports(nodes):
    """Yield (name here, module, name there) of everything taken from the library."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARY):
            for alias in node.names:
                yield alias.asname or alias.name, node.module, alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(LIBRARY):
                    yield alias.asname or LIBRARY, alias.name if alias.asname else LIBRARY, None


def origin(module, name, root=ROOT):
    """Return (module, name) of where a name that `module` offers is defined."""
    if module == LIBRARY and name in HOME:
        return HOME[name], name
    file = file_of(module, root)
    for here, there, original in imports(tree(file).body if file else ()):
        if here == name and original and file_of(f"{there}.{original}", root) is None:
            return origin(there, original, root)
    return module, name


@cache
def uses(path, root=ROOT):
    """Return {(module, name)} of what a file takes from the library, under the first names."""
    modules, found = {}, set()
    for here, module, name in imports(ast.walk(tree(path))):
        whole = module if name is None else f"{module}.{name}"
        if file_of(whole, root):
            modules[here] = whole
        else:
            found.add(origin(module, name, root))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in modules:
            found.add(origin(modules[node.value.id], node.attr, root))
    return found


@cache
def test_files(root=ROOT):
    """Return the files below tests/ that test the library, not its documents."""
    files = sorted((root / "tests").rglob("*.py"))
    return [p for p in files if p.relative_to(root / "tests").parts[0] not in ("docs", "notebooks")]


def tests_of(op, root=ROOT):
    """Return the test files that use an op, those of the same name first."""
    module = f"{LIBRARY}.{op.module}"
    found = [p for p in test_files(root) if (module, op.name) in uses(p, root)]
    *room, name = op.module.split(".")
    own = root.joinpath("tests", *room, f"test_{name}.py")
    found.sort(key=lambda p: (p != own, "peers" in p.parts))
    return [p.relative_to(root / "tests").as_posix() for p in found]
