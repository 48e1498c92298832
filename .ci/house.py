"""Count the house: `python .ci/house.py`, or `python .ci/house.py OTHER_CHECKOUT`.

Lines of code leave out docstrings, comments, blanks and imports. Tests are counted with the room
they test. An import counts wherever it stands: at the top, inside a function, or below
`if TYPE_CHECKING`, since a type that has to be known is a dependency too. What a string names (the
door to the kernels in dispatch.py, the submodules of the face) is no import, and `__version__` is
no name of the face. A folder needs what
its files need: a circle of folders is one among the files and folders that lie side by side. The
rooms of tests/ mirror those of the house and count as folders of their own, as those do.
"""

import ast
import io
import sys
import tokenize
from collections import Counter, defaultdict
from functools import cached_property
from pathlib import Path

PLACES = (".ci", "benchmarks", "docs", "minimamba", "tests", "tutorials")
LEFT_OUT = {"_build", "__pycache__", ".ipynb_checkpoints"}
# Where an absolute import may start, beside the root.
SEARCH = ("", "tutorials/", "docs/_ext/", ".ci/")
FLOORS = {"ops": 1, "kernels": 1, "ranks": 1, "blocks": 2, "models": 3, "recsys": 4, "oracle": 4}
TOP = {"cli.py": 5, "__main__.py": 5, "__init__.py": 6}  # other files of minimamba/ are the ground
OUTSIDE = 7  # benchmarks, tutorials, tests, documentation: they may import everything
FACES = ("minimamba/__init__.py", "minimamba/oracle/__init__.py")
ROOMS = {"tests/notebooks": "tutorials/check", "minimamba/check": "tutorials/check"}
NO_CODE = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER"}


class Source:
    """One file: its text, its tree, and what can be counted in it alone."""

    def __init__(self, root, path):
        """Read a file, which is called by its path below the root."""
        self.path = path.relative_to(root).as_posix()
        self.text = path.read_text()
        self.tree = ast.parse(self.text)

    @cached_property
    def nodes(self):
        """Every node of the tree, a list."""
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self):
        """The public functions that are defined at the top, a set of names."""
        names = (n.name for n in self.tree.body if isinstance(n, ast.FunctionDef))
        return {name for name in names if not name.startswith("_")}

    @cached_property
    def exported(self):
        """The names in `__all__`, a list, empty where there is none."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
        return []

    def docstrings(self):
        """Return the numbers of the lines inside docstrings, a set."""
        owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        firsts = (n.body[0] for n in self.nodes if isinstance(n, owners) and n.body)
        texts = (n for n in firsts if isinstance(n, ast.Expr))
        return _lines(n for n in texts if isinstance(getattr(n.value, "value", None), str))

    @cached_property
    def counts(self):
        """The numbers of all lines, of code, and of docstring."""
        imports = _lines(n for n in self.nodes if isinstance(n, ast.Import | ast.ImportFrom))
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        held = [t for t in tokens if tokenize.tok_name[t.type] not in NO_CODE]
        code = {line for t in held for line in range(t.start[0], t.end[0] + 1)}
        docstrings = self.docstrings()
        return Counter(
            files=1,
            lines=self.text.count("\n"),
            code=len(code - docstrings - imports),
            docstring=len(docstrings),
        )

    def objects(self):
        """Return the fields of classes that are typed `object`, as 'path: Class.field'."""
        classes = (n for n in self.nodes if isinstance(n, ast.ClassDef))
        fields = ((c, f) for c in classes for f in c.body if isinstance(f, ast.AnnAssign))
        return [
            f"{self.path}: {owner.name}.{ast.unparse(field.target)}"
            for owner, field in fields
            if any(getattr(n, "id", None) == "object" for n in ast.walk(field.annotation))
        ]


def _lines(nodes):
    return {line for n in nodes for line in range(n.lineno, n.end_lineno + 1)}


class House:
    """All files of a checkout, and what lies between them."""

    def __init__(self, root):
        """Read every file of a checkout."""
        root = Path(root).resolve()
        paths = [p for place in PLACES for p in sorted((root / place).rglob("*.py"))]
        paths = [p for p in paths if not LEFT_OUT & set(p.relative_to(root).parts)]
        sources = (Source(root, p) for p in [*paths, *root.glob("*.py")])
        self.files = {source.path: source for source in sources}

    def find(self, module):
        """Return the path of a module of this house, or None."""
        stems = (start + module.replace(".", "/") for start in SEARCH)
        paths = (stem + end for stem in stems for end in (".py", "/__init__.py"))
        return next((path for path in paths if path in self.files), None)

    def froms(self, source):
        """Yield (path, name, as name) of all that is imported from files of this house."""
        for node in source.nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in (a for a in node.names if not a.name.startswith("__")):
                    inner = self.find(f"{node.module}.{alias.name}")
                    path = inner or self.find(node.module)
                    if path:
                        yield path, None if inner else alias.name, alias.asname or alias.name

    @cached_property
    def needs(self):
        """What every file imports, {path: set of paths}."""
        found = {}
        for path, source in self.files.items():
            plain = (n for n in source.nodes if isinstance(n, ast.Import))
            paths = {self.find(alias.name) for node in plain for alias in node.names}
            found[path] = (paths | {p for p, *_ in self.froms(source)}) - {None, path}
        return found

    def climbing(self):
        """Return the imports that run back up the floors, as 'from -> to'."""
        pairs = ((a, b) for a, needed in self.needs.items() for b in needed)
        return sorted(f"{a} -> {b}" for a, b in pairs if floor(a) < floor(b))

    def circles(self):
        """Return the circles between files, as 'a, b'."""
        return circles(self.needs)

    def folder_circles(self):
        """Return the circles that a folder is part of, as 'a, b'."""
        levels = defaultdict(lambda: defaultdict(set))
        for a, b in ((a, b) for a, needed in self.needs.items() for b in needed):
            ways = [path.replace("tests/", "tests in ", 1).split("/") for path in (a, b)]
            depth = next(i for i, (x, y) in enumerate(zip(*ways, strict=False)) if x != y)
            ends = ["/".join(way[: depth + 1]) for way in ways]
            levels["/".join(ways[0][:depth])][ends[0]].add(ends[1])
        found = [circle for level in levels.values() for circle in circles(level)]
        return [c for c in found if not all(end.endswith(".py") for end in c.split(", "))]

    def home(self, path, name):
        """Return the path of the file that defines what `path` calls `name`, or None."""
        if path is None or name in self.files[path].functions:
            return path
        known = {called: (p, n) for p, n, called in self.froms(self.files[path]) if n}
        return self.home(*known[name]) if name in known else None

    def second_addresses(self):
        """Return the public functions that may be imported from a module that only imports them.

        A module passes a function on if it lists it, never uses it, or is a package's `__init__`;
        or if somebody takes it from there.
        """
        found = set()
        for source in self.files.values():
            loaded = {n.id for n in source.nodes if isinstance(n, ast.Name)}
            for path, name, called in self.froms(source):
                home = self.home(path, name) if name else None
                if home is None:
                    continue
                unused = called not in loaded or called in source.exported
                if source.path not in FACES and (unused or source.path.endswith("__init__.py")):
                    found.add(f"{home}: {name}, also in {source.path}")
                if path not in (home, *FACES):
                    found.add(f"{home}: {name}, also in {path}")
        return sorted(found)

    def longer_than(self, limit):
        """Return the files with more lines of code than that, as 'path: lines'."""
        counts = {path: source.counts["code"] for path, source in self.files.items()}
        return [f"{path}: {lines}" for path, lines in counts.items() if lines > limit]

    def face(self):
        """Return the names on the face, a list: of its table, in old checkouts of `__all__`."""
        face = self.files[FACES[0]]
        assigned = (n for n in face.tree.body if isinstance(n, ast.Assign))
        table = next((n.value for n in assigned if ast.unparse(n.targets[0]) == "FACE"), None)
        return " ".join(ast.literal_eval(table).values()).split() if table else face.exported

    def zeros(self):
        """Return {what must not exist: where it does}."""
        return {
            "files over 250 lines of code": self.longer_than(250),
            "files over 200 lines of code": self.longer_than(200),
            "imports that run back up": self.climbing(),
            "circles between files": self.circles(),
            "circles between folders": self.folder_circles(),
            "functions with two addresses": self.second_addresses(),
            "fields typed object": [o for s in self.files.values() for o in s.objects()],
        }

    def rooms(self):
        """Return {room: counts}, with the lines of code that test it under 'test'."""
        found = defaultdict(Counter)
        for path, source in self.files.items():
            counts, room = source.counts, self.room(path)
            if path.startswith("tests/"):
                counts = Counter(test=counts["code"])
            found[room] += counts
        return dict(sorted(found.items()))

    def room(self, path):
        """Return the folder that a file belongs to; a test belongs to what it tests."""
        folder, _, name = path.rpartition("/")
        if folder == "tests":
            tested = f"minimamba/{name.removeprefix('test_')}"
            return "minimamba" if tested in self.files else "tests"
        inner = folder.replace("tests", "minimamba", 1)
        there = any(known.startswith(inner + "/") for known in self.files)
        room = inner if there else folder or "root"
        return ROOMS.get(room, room)


def floor(path):
    """Return the floor of a file, by the table of the design."""
    place, *way = path.split("/")
    if place != "minimamba":
        return OUTSIDE
    return FLOORS.get(way[0], OUTSIDE) if len(way) > 1 else TOP.get(way[0], 0)


def circles(needs):
    """Return the groups that need each other in a circle, as 'a, b'."""
    reached = {a: _reached(needs, a) for a in needs}
    groups = {frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in needs}
    return sorted(", ".join(sorted(group)) for group in groups if group)


def _reached(needs, start):
    found, ahead = set(), [start]
    while ahead:
        new = needs.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found


COLUMNS = ("files", "lines", "code", "docstring", "test")


def table(house):
    """Return the counts as lines of text."""
    rooms = house.rooms()
    sums = defaultdict(Counter)
    for room, counts in rooms.items():
        sums["all of " + room.split("/")[0]] += counts
    yield f"{'room':28}" + "".join(f"{column:>10}" for column in COLUMNS)
    for room, counts in [*rooms.items(), *sums.items()]:
        yield f"{room:28}" + "".join(f"{counts[column]:>10}" for column in COLUMNS)
    yield ""
    for what, found in house.zeros().items():
        yield f"{what}: {len(found)}"
        yield from (f"    {one}" for one in found)
    yield f"names on the face: {len(house.face())}"


if __name__ == "__main__":
    checkout = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent
    print("\n".join(table(House(checkout))))
