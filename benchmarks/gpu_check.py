"""`make gpu-check`: everything that needs a GPU, in one command of under eight minutes.

    python -m benchmarks.gpu_check [folder]

Tests on CuPy, the kernels against float64, compute-sanitizer where it is installed, times beside
their floors, one training epoch; a table last, JSON and a roofline plot in the folder (default:
$OUT, else gpu-check). Without a GPU it says why in one sentence and ends with 2; with a failed
check, with 1.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

from minimamba.arrays import gpu_unavailable, to_host

TOLERANCES = {"y": 2e-6, "gradients": 5e-6}
CHECKED = [(2, 37, 33, 3), (3, 101, 64, 16), (2, 50, 128, 32), (1, 1500, 40, 16), (2, 20, 33, 80)]
EPOCH = ["--set", "train.epochs=1", "--set", "train.batch=2048", "-q"]


def main(folder):
    """Run every part; return the exit code."""
    if reason := gpu_unavailable():
        print(f"gpu-check cannot run: {reason}", file=sys.stderr)
        return 2
    import cupy

    folder.mkdir(parents=True, exist_ok=True)
    began, report = time.perf_counter(), {"date": str(date.today()), **device(cupy)}
    parts = {
        "tests": lambda: run_tests(),
        "kernels": lambda: kernels_against_float64(cupy),
        "sanitizer": lambda: sanitize(folder),
        "times": lambda: benchmark(cupy, folder),
        "epoch": lambda: one_epoch(folder),
    }
    for name, part in parts.items():
        report[name] = attempt(part)
        report["seconds"] = round(time.perf_counter() - began, 1)
        print(f"{name}: {'ok' if report[name]['ok'] else report[name]['error']}", flush=True)
        (folder / "gpu_check.json").write_text(json.dumps(report, indent=1) + "\n")
    if report["times"]["ok"]:
        show(report["times"]["result"])
    return 0 if all(report[name]["ok"] for name in parts) else 1


def attempt(part):
    """Run one part; a failure is a result, and does not keep the next part from running."""
    try:
        return {"ok": True, "result": part()}
    except Exception as error:  # CUDA and driver errors share no base class
        return {"ok": False, "error": f"{type(error).__name__}: {str(error)[:2000]}"}


def device(cupy):
    """Return which device, driver and library the figures belong to."""
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return {
        "device": properties["name"].decode(),
        "driver": cupy.cuda.runtime.driverGetVersion(),
        "cupy": cupy.__version__,
        "numpy": np.__version__,
    }


def run_tests():
    """Run the laws on CuPy arrays; without pytest, say so."""
    if subprocess.run([sys.executable, "-c", "import pytest, hypothesis"]).returncode:
        return "not run: pytest and hypothesis are not installed"
    command = [sys.executable, "-m", "pytest", "tests/test_laws.py", "-k", "cupy", "-rs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    tail = done.stdout.strip().splitlines()[-8:]
    if done.returncode:
        raise AssertionError("\n".join(tail))
    return tail[-1:]


def kernels_against_float64(cupy):
    """Compare the fused scan with the array code in float64 on the host; raise if it is far."""
    from benchmarks.gpu_bench import problem
    from minimamba.kernels import selective
    from minimamba.ops.selective import selective_scan, selective_scan_backward

    worst = {}
    for shape in CHECKED:
        x, dy = problem(cupy, shape, "float32", seed=1)
        y, h_last, cache = selective.forward(x)
        grads = selective.backward(dy, h_last, cache)
        wide = x._replace(**{k: double(v) for k, v in x._asdict().items() if hasattr(v, "dtype")})
        want_y, want_h, cache = selective_scan(*wide)
        want = selective_scan_backward(double(dy), double(h_last), cache)
        far = {"y": relative(y, want_y), "h_last": relative(h_last, want_h)}
        for name, g in want._asdict().items():
            if g is not None:
                far[f"d{name}"] = relative(getattr(grads, name), g)
        worst[str(shape)] = far
    bad = {
        (shape, name): v
        for shape, far in worst.items()
        for name, v in far.items()
        if not v <= TOLERANCES["gradients" if name[0] == "d" else "y"]
    }
    if bad:
        raise AssertionError(f"too far from float64: {bad}; all: {worst}")
    return worst


def double(x):
    """Return a float64 NumPy copy."""
    return to_host(x).astype(np.float64)


def relative(got, want):
    """Return |got - want| / |want| in the 2-norm."""
    return float(np.linalg.norm(to_host(got) - want) / np.linalg.norm(want))


def sanitize(folder):
    """Run the small kernels under compute-sanitizer's racecheck and memcheck, where present."""
    tool = shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path="/usr/local/cuda/bin"
    )
    if tool is None:
        return "not run: compute-sanitizer is not installed"
    code = (
        "import cupy; from benchmarks.gpu_check import kernels_against_float64 as k, CHECKED; "
        "del CHECKED[1:]; k(cupy)"
    )
    for check in ("memcheck", "racecheck"):
        command = [tool, "--tool", check, "--error-exitcode", "9", sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        (folder / f"{check}.txt").write_text(done.stdout + done.stderr)
        if done.returncode:
            raise AssertionError(f"{check} found something: see {check}.txt")
    return "memcheck and racecheck find nothing"


def benchmark(cupy, folder):
    """Time every row; write the roofline plot; return bandwidth and rows."""
    from benchmarks import gpu_bench as bench

    limits = bench.copy_bandwidth(cupy), bench.exponential_rate(cupy)
    rows, skipped = [], []
    jobs = [
        (bench.selective_rows, shape, memory, limits)
        for shape in bench.SHAPES
        for memory in ("float32", "bfloat16")
    ]
    jobs += [(bench.array_rows, bench.SHAPES[1]), (bench.ladder_rows,)]
    for job, *args in jobs:
        try:
            rows += job(cupy, *args)
        except cupy.cuda.memory.OutOfMemoryError as error:
            skipped.append(f"{args[:2]}: {error}")
        cupy.get_default_memory_pool().free_all_blocks()
    draw(rows, folder / "gpu_roofline.png")
    named = {"copy bytes a second": limits[0], "exps a second": limits[1]}
    return named | {"rows": [row._asdict() for row in rows], "skipped": skipped}


def draw(rows, path):
    """Draw the share of its floor that each timed pass reaches."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in rows if row.floor]
    figure, axes = plt.subplots(figsize=(7, 0.35 * len(rows) + 1))
    names = [f"{row.what} {row.memory} {row.shape}" for row in rows]
    axes.barh(names, [100 * row.floor / row.median for row in rows])
    axes.set_xlabel("share of the floor reached (%): 100 is bound by memory or exponentials")
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def one_epoch(folder):
    """Train one epoch of the recommender on the GPU through the command line."""
    from minimamba.recsys.dataset import BUILT_IN

    run = folder / "epoch"
    shutil.rmtree(run, ignore_errors=True)
    command = [sys.executable, "-m", "minimamba", "train", "--data", f"{BUILT_IN}1"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, *EPOCH, "--device", "gpu", "--out", str(run)],
        capture_output=True,
        text=True,
        timeout=180,
    )
    if done.returncode:
        raise AssertionError(done.stderr[-2000:])
    return {"seconds": round(time.perf_counter() - began, 1)}


def show(times):
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"copy {times['copy bytes a second'] / 1e12:.2f} TB/s")
    for name in ("pass", "memory", "b, l, e, n", "median ms", "fastest ms", "floor ms", "share"):
        table.add_column(name)
    for row in times["rows"]:
        floor = row["floor"]
        last = ("", "") if floor is None else (f"{floor:.3f}", f"{floor / row['median']:.0%}")
        numbers = (f"{row['median']:.3f}", f"{row['fastest']:.3f}", *last)
        table.add_row(row["what"], row["memory"], str(row["shape"]), *numbers)
    Console(width=110).print(table)


if __name__ == "__main__":
    sys.exit(main(Path((sys.argv[1:] or [os.environ.get("OUT", "gpu-check")])[0])))
