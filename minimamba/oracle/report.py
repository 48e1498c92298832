"""The verdict, for people and for machines: a table, sentences, a failing case, JSON, a picture."""

import io
import json
import math
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from minimamba.oracle.bound.judge import grades


@dataclass
class Row:
    """What was seen of one output in one dtype."""

    output: str
    dtype: str
    accepted: str  # the grade that was declared
    cases: int = 0
    worst: float = 0.0  # error over tolerance at the accepted grade
    grade: str | None = ""  # the strictest grade that explains every case
    roundoff: float = 0.0  # effective unit roundoff
    ulp: float = 0.0
    relative: float = 0.0
    vacuous: float = 0.0  # mean share of elements smaller than their tolerance
    passed: bool = True

    def add(self, f):
        """Count in a `Finding` of one more case."""
        self.vacuous = (self.vacuous * self.cases + f.vacuous) / (self.cases + 1)
        self.cases += 1
        self.worst, self.ulp = max(self.worst, f.ratio), max(self.ulp, f.ulp)
        self.relative, self.roundoff = max(self.relative, f.relative), max(self.roundoff, f.units)
        ladder = ["", *(p.name for p in grades(self.dtype)), None]
        self.grade = max(self.grade, f.grade, key=ladder.index)
        self.passed = self.passed and f.ratio <= 1

    def doubt(self):
        share = f"{100 * self.vacuous:.0f} % of {self.output} ({self.dtype}) says nothing"
        return f"{share}: there the tolerance is larger than the value; float64 says more"


@dataclass
class Failure:
    """One way to be wrong, with the smallest case that shows it."""

    kind: str  # the relation that does not hold, or reference, contract, dtype, call
    output: str
    dtype: str
    sentence: str
    sizes: dict
    code: str = ""
    seed: tuple = ()
    drawn: str = ""  # what was said of the case before it was made small


@dataclass
class Repeat:
    """How often one array came back with other bits: information, sums by atomics legally do."""

    output: str
    dtype: str
    calls: int = 0
    different: int = 0


@dataclass
class Report:
    """The result of `check`; `print` it, or ask `passed`."""

    target: str
    op: str
    layout: str
    framework: str
    rows: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    repeats: list = field(default_factory=list)
    skipped: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    error: str | None = None  # why it could not be run
    seconds: float = 0.0
    heat: tuple | None = None  # title, and error over tolerance of the first failing case

    @property
    def passed(self):
        return self.error is None and not self.failures and bool(self.rows)

    @property
    def exit_code(self):
        """0 right, 1 wrong, 2 could not be run."""
        return 1 if self.failures else 0 if self.passed else 2

    def to_dict(self):
        """Return the report as plain data, as `docs/oracle-report.schema.json` describes it."""
        data = asdict(replace(self, heat=None)) | {"format": "minimamba-oracle-report/2"}
        data |= {"passed": self.passed, "exit_code": self.exit_code}
        del data["heat"]
        return _plain(data)

    def to_json(self):
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __str__(self):
        console = Console(width=108, record=True, file=io.StringIO())
        self.print(console)
        return console.export_text()

    def print(self, console=None):
        """Print table, skipped capabilities, failures and verdict on a rich console."""
        console = console or Console(width=max(Console().width, 108))
        say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
        if self.rows:
            console.print(_table(self))
        for line in in_words(self.repeats):
            say(f"repeats  {line}")
        for name, why in self.skipped.items():
            say(f"skipped  {name}: {why}")
        for note in self.notes:
            say(f"note     {note}")
        for f in self.failures:
            say(f"WRONG    [{f.kind}] {f.sentence} ({f.dtype}, {words(f.sizes)})")
            if f.drawn and f.drawn != f"{f.sentence} ({words(f.sizes)})":
                say(f"    as drawn: {f.drawn}")
            if f.code:
                say(f.code)
        say(self.summary())

    def summary(self):
        if self.error:
            return f"{self.target} could not be run: {self.error}"
        what = f"{self.target} as {self.op}, {self.seconds:.1f} s"
        if self.failures:
            n = len(self.failures)
            return f"WRONG: {what}: {n} kind{'s' * (n > 1)} of failure"
        return f"RIGHT: {what}: every error within its tolerance"


def _table(report):
    table = Table(title=f"{report.target}: {report.op} ({report.framework}, {report.layout})")
    heads = ("output", "dtype", "cases", "error / tolerance", "roundoff", "grade", "ulp")
    for head in (*heads, "relative", "vacuous", ""):
        table.add_column(head, justify="left" if head in ("output", "dtype", "grade") else "right")
    for r in report.rows:
        bits = f"2^{math.log2(r.roundoff):.1f}" if 0 < r.roundoff < math.inf else "0"
        numbers = (f"{r.worst:.3g}", bits if r.roundoff < math.inf else "none")
        grade, mark = r.grade or "none", "ok" if r.passed else "WRONG"
        rest = (f"{r.ulp:.3g}", f"{r.relative:.1e}", f"{100 * r.vacuous:.1f} %", mark)
        table.add_row(r.output, r.dtype, str(r.cases), *numbers, grade, *rest)
    return table


def in_words(repeats):
    """Return a line for every dtype, and one for what varies.

    Examples
    --------
    >>> in_words([Repeat("out", "float32", 9), Repeat("dA", "float32", 9, 2)])[1]
    'float32: dA gave other bits in 2 of 9 repeated calls (no failure: sums by atomics do that)'
    """
    lines = []
    for dtype in dict.fromkeys(r.dtype for r in repeats):
        same = [r for r in repeats if r.dtype == dtype and not r.different]
        if same:
            names, calls = ", ".join(r.output for r in same), min(r.calls for r in same)
            lines.append(f"{dtype}: the same bits in {calls} repeated calls: {names}")
    for r in (r for r in repeats if r.different):
        often = f"{r.different} of {r.calls} repeated calls"
        why = "no failure: sums by atomics do that"
        lines.append(f"{r.dtype}: {r.output} gave other bits in {often} ({why})")
    return lines


def words(sizes):
    """Return sizes as they are printed: b=1 l=2."""
    return " ".join(f"{k}={v}" for k, v in sizes.items())


def _plain(x):
    """Return what JSON can say: infinities and NaN as words, NumPy numbers as Python's."""
    if isinstance(x, dict):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    if isinstance(x, (bool, np.bool_)):
        return bool(x)
    if isinstance(x, (float, np.floating)):
        return float(x) if math.isfinite(x) else str(float(x))
    return int(x) if isinstance(x, np.integer) else x


def save_heat_map(report, path):
    """Draw where the error of the failing case sits: error over tolerance, time across.

    Nothing is written, and False returned, where nothing failed.
    """
    if report.heat is None:
        return False
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure

    title, where = report.heat
    where = np.atleast_2d(np.moveaxis(where, 1, -1) if where.ndim > 1 else where)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    with np.errstate(divide="ignore"):
        shade = np.log10(np.minimum(where.reshape(-1, where.shape[-1]), 1e300))
    top = float(np.clip(shade.max(initial=3), 3, 18))  # a NaN is off the scale
    look = {"norm": TwoSlopeNorm(0, -3, top), "cmap": "RdBu_r", "origin": "lower"}
    shown = axes.imshow(np.clip(shade, -3, top), aspect="auto", **look)
    figure.colorbar(shown, label="log10(error / tolerance); above 0 is wrong")
    axes.set(title=title, xlabel="step", ylabel="batch and channel")
    figure.savefig(path, dpi=120)
    return True
