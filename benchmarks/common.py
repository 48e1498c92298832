"""What every benchmark shares: interleaved rounds, medians, ratios, memory.

Two programs are compared by running them in turn, round after round, and taking the median of the
ratios inside a round: whatever else the machine does then falls on both.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import threading
import time
import tracemalloc
from importlib import import_module
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def parser(about, **numbers):
    """Return the parser of a script: --quick, and numbers with their defaults."""
    made = argparse.ArgumentParser("python -m benchmarks NAME", description=about.split("\n")[0])
    made.add_argument("--quick", action="store_true", help="few rounds, nothing is saved")
    for name, default in numbers.items():
        made.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    return made


def every_shape(name, shapes, measure, made, argv):
    """Measure at every shape and dtype that is asked for, and save each unless it is --quick."""
    made.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    made.add_argument("--shapes", nargs="+", type=int, default=range(4), help="which of the four")
    args = made.parse_args(argv)
    rounds, seconds = (3, 4) if args.quick else (11, args.seconds)
    for dtype in args.dtypes:
        for i in args.shapes:
            result = measure(shapes[i], dtype, rounds, seconds)
            if not args.quick:
                print(merge(name, [result]))


def interleave(calls, rounds=7, seconds=None):
    """Run every call once a round; return {name: [seconds, ...]}, round by round.

    Seconds are those the processor spent on us: on a shared machine, waiting does not count.
    Every call is made once before it is timed, so that each finds the caches and the heap as it
    left them itself, not as its predecessor did. A call of less than 4 ms is repeated within its
    round. With `seconds`, rounds end when that much time is used up, but not before three.
    """
    repeats = {}
    for name, call in calls.items():
        call()  # compile, fill caches
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(0.004 / max(time.perf_counter() - start, 1e-7)))
    times = {name: [] for name in calls}
    began = time.perf_counter()
    for done in range(rounds):
        if seconds is not None and done >= 3 and time.perf_counter() - began > seconds:
            break
        for name, call in calls.items():
            call()
            start = time.process_time()
            for _ in range(repeats[name]):
                call()
            times[name].append((time.process_time() - start) / repeats[name])
    return times


def require_like(calls, tolerance=1e-3):
    """Require of every call the numbers of the first, in whatever layout: their norms agree."""
    norms = {name: float(np.linalg.norm(np.ravel(call()))) for name, call in calls.items()}
    first = next(iter(norms.values()))
    wrong = [name for name, norm in norms.items() if not abs(norm - first) <= tolerance * first]
    if wrong:
        raise SystemExit(f"{', '.join(wrong)}: not the numbers of {next(iter(norms))}")


def ratio(times, name, reference):
    """Return the median, over rounds, of one call's time over another's."""
    pairs = zip(times[name], times[reference], strict=True)
    return statistics.median(a / b for a, b in pairs)


def allocated(call):
    """Return the peak of what a call allocates, in bytes; sees NumPy, not other libraries."""
    gc.collect()
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    kept = call()
    peak = tracemalloc.get_traced_memory()[1] - start
    tracemalloc.stop()
    del kept
    return peak


def resident(call):
    """Return by how much resident memory grows at most during a call, in bytes, sampled."""
    gc.collect()
    base, peak, done = _resident_now(), [0], threading.Event()

    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], _resident_now())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    kept = call()
    done.set()
    watcher.join()
    del kept
    return max(0, peak[0] - base)


def _resident_now():
    statm = Path("/proc/self/statm")  # Linux only: elsewhere the growth is given as 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") if statm.exists() else 0


def machine():
    """Return what the figures depend on: processor, versions, and how busy the machine was."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    model = names[0] if names else platform.processor() or "unknown"
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "core": os.environ.get("MINIMAMBA_PINNED"),
        "load": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def save(name, result):
    """Write a result beside the others, with the machine it comes from."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine()} | result, indent=1) + "\n")
    return path


def merge(name, results):
    """Save results one by one: each replaces an older one of the same shape and dtype.

    So a long benchmark may be run in parts; each part keeps its own date and load.
    """
    path = RESULTS / f"{name}.json"
    kept = json.loads(path.read_text())["results"] if path.exists() else []
    new = [result | {"machine": machine()} for result in results]
    keys = {(tuple(x["shape"]), x["dtype"]) for x in new}
    kept = [x for x in kept if (tuple(x["shape"]), x["dtype"]) not in keys]
    ordered = sorted(kept + new, key=lambda x: (x["dtype"], tuple(x["shape"])))
    return save(name, {"results": ordered})


def show(title, rows, columns):
    """Print one table: rows is {name: [cells]}."""
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(["", *columns]):
        table.add_column(column, justify="right" if i else "left")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    table.min_width = len(title)
    Console(width=160).print(table)


def say_left_out(reasons):
    """Say in one sentence what a table lacks and why: {name: reason}."""
    by_reason = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    parts = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    if parts:
        print(f"Left out: {'; '.join(parts)}.\n")


def absent(*modules):
    """Say which of these libraries cannot be imported, or None."""
    for module in modules:
        try:
            import_module(module)
        except ImportError:
            return f"{module} is not installed: make test-peers brings it"
    return None


def not_installed(needs):
    """Return {name: reason} of what, of {name: modules it needs}, cannot be imported."""
    reasons = {name: absent(*modules) for name, modules in needs.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def exponent(sizes, values):
    """Return the slope of log(values) against log(sizes): 1 means linear."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
