"""The parts of `make gpu-check`, each run in a process of its own by `gpu_check`.

A part is a function of a `Page`: it puts one result after another there, and the page is on the
disk after each. What is left when its time is up is named; what fails is named and the rest runs.
"""

import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.gpu import bench
from benchmarks.gpu import peers as gpu_peers
from benchmarks.gpu import windows as gpu_windows
from benchmarks.gpu.page import NotRun, Page, finish
from minimamba import gpu
from minimamba.ops import spectral

SIDE_BY_SIDE, ONE_LONG = (64, 512, 256), (1, 1 << 22, 1)  # of the plain recurrence: b, l, width
PYTEST = (sys.executable, "-m", "pytest", "-q", "-W", "default")
PYTEST += ("-p", "no:cacheprovider", "-o", "addopts=")
KERNELS = ("tests/kernels", "--device", "gpu")
WORKERS = min(4, os.cpu_count() or 1)
EPOCH = ("train.epochs=1", "train.batch=2048")
LAWS = ("tests/test_laws.py", "-k", "cupy_gives")
SMALL = (  # what the sanitizers look at: every kernel, at sizes they get through
    "ampere or segments or one_position or (conv and every_number)"
    " or (higher_precision and float32)"
)
IN_ARRAYS = (256, 50, 128, 32)  # of the fused scan in array code: thousands of launches


def device(page):
    """Which device, driver and libraries the figures belong to; NotRun without a GPU."""
    if reason := gpu.unavailable():
        raise NotRun(reason)
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    page.put("device", properties["name"].decode())
    page.put("memory", properties["totalGlobalMem"])
    page.put("driver", cupy.cuda.runtime.driverGetVersion())
    page.put("nvrtc", ".".join(map(str, cupy.cuda.nvrtc.getVersion())))
    page.put("cupy", cupy.__version__)
    page.put("python", sys.version.split()[0])


def times(page):
    """The fused scan at the four shapes, float32 and bfloat16."""
    limits = bench.open_device()
    page.put("limits", {"copied": limits.copied, "exponentials": limits.exponentials})
    jobs = {
        f"fused {shape} {memory}": partial(dicts, limits, bench.fused_rows, shape, memory)
        for shape in bench.SHAPES
        for memory in ("bfloat16", "float32")
    }
    page.run(jobs)


def scans(page):
    """The teaching ladder and the scans in array code."""
    limits = bench.open_device()
    page.run(
        {
            "ladder, side by side": partial(dicts, limits, bench.ladder_rows, SIDE_BY_SIDE),
            "arrays": partial(dicts, limits, bench.array_ladder_rows, SIDE_BY_SIDE),
            "ladder, one long": partial(dicts, limits, bench.ladder_rows, ONE_LONG),
            "fused, in arrays": partial(dicts, limits, bench.array_rows, IN_ARRAYS),
        }
    )


def windows(page):
    """The spectral filter by a matrix product and by cuFFT, over the length of the window."""
    limits = bench.open_device()
    for batch, width in gpu_windows.BATCHES:
        rows = []

        def one(l, batch=batch, width=width, rows=rows):
            rows += (new := gpu_windows.rows_of_a_window(limits, batch, width, l))
            return [row._asdict() for row in new]

        page.run({f"window ({batch}, {l}, {width})": partial(one, l) for l in gpu_windows.WINDOWS})
        if rows:
            found = {"rule": spectral.LONGEST_CIRCULANT, "measured": gpu_windows.crossover(rows)}
            page.put(f"crossover ({batch}, l, {width})", found)


def dicts(device, job, *args):
    """Run a job that returns rows; return them as dicts, and give its memory back."""
    try:
        return [row._asdict() for row in job(device, *args)]
    finally:
        device.cupy.get_default_memory_pool().free_all_blocks()


def peer(name, page):
    """The selective scan of another package at the same shapes."""
    if reason := gpu_peers.missing(name):
        raise NotRun(reason)
    kinds = ("bfloat16", "float32") if name == "mamba_ssm" else ("float32",)
    jobs = {}
    for shape in bench.SHAPES:
        for memory in kinds:
            job = partial(gpu_peers.rows, name, shape, memory)
            if gpu_peers.affordable(name, shape):
                jobs[f"{name} {shape} {memory}"] = job
            else:
                page.left_out.append(f"{name} {shape}: a loop of {shape[1]} steps takes too long")
    page.run(jobs)


def tests(name, arguments, page):
    """Tests of this repository on CuPy arrays, by pytest."""
    lacking = [m for m in ("pytest", "hypothesis") if importlib.util.find_spec(m) is None]
    if lacking:
        raise NotRun(f"{' and '.join(lacking)} not installed")
    command = [*PYTEST, *arguments, "-rs"]
    if importlib.util.find_spec("xdist"):
        command += ["-n", str(WORKERS)]
    code, said = finish(command, page.left())
    (page.folder / f"gpu_{name}.txt").write_text(said)
    words = said.strip().splitlines()
    page.put("pytest", words[-1] if words else "")
    if code is None:
        page.left_out.append(f"pytest was stopped when its time was up: see gpu_{name}.txt")
    elif code:
        page.errors["pytest"] = "\n".join(words[-12:])


def sanitizer(page):
    """compute-sanitizer's memcheck and racecheck over the small kernels."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/cuda/bin"])
    tool = shutil.which("compute-sanitizer", path=places)
    if tool is None:
        raise NotRun("compute-sanitizer is not installed")
    for check, share in [("memcheck", 0.5), ("racecheck", 1.0)]:
        code, said = under(tool, check, share * page.left())
        (page.folder / f"{check}.txt").write_text(said)
        verdict = [line for line in said.splitlines() if "SUMMARY" in line]
        page.put(check, verdict[-1] if verdict else "no verdict")
        if not verdict:
            why = "its time was up" if code is None else " ".join(said.split()[-30:])
            page.left_out.append(f"{check}: {why}")
        elif not all(" 0 errors" in line or " 0 hazards" in line for line in verdict):
            page.errors[check] = f"{verdict[-1]}: see {check}.txt"


def under(tool, check, seconds):
    """Run the small kernels under one of compute-sanitizer's tools; return (exit code, output).

    CuPy asks the driver for things it may not have: those answers are no errors of ours. Only our
    kernels are looked at ("ca" is in every name of them), unless this version knows no such option.
    """
    command = [tool, "--tool", check, "--report-api-errors", "no"]
    target = [*PYTEST, *KERNELS, "-k", SMALL]
    began = time.monotonic()
    code, said = finish([*command, "--kernel-regex", "kns=ca", *target], seconds)
    if code and "SUMMARY" not in said:
        code, said = finish([*command, *target], seconds - (time.monotonic() - began))
    return code, said


def epoch(page):
    """One epoch of the recommender through the command line."""
    from minimamba.recsys.data.dataset import BUILT_IN

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "minimamba", "train", "--data", f"{BUILT_IN}1"]
        command += [part for setting in EPOCH for part in ("--set", setting)]
        began = time.monotonic()
        code, said = finish([*command, "-q", "--device", "gpu", "--out", str(out)], page.left())
        page.put("seconds", round(time.monotonic() - began, 1))
        if code is None:
            page.left_out.append("the epoch was stopped when its time was up")
        elif code:
            page.errors["epoch"] = said[-1500:]
        else:
            page.put("test", json.loads((out / "result.json").read_text())["test"])


PARTS = {
    "device": (device, 40),  # the part, and the seconds it may take
    "kernels": (lambda page: tests("kernels", KERNELS, page), 100),
    "times": (times, 90),
    "scans": (scans, 25),
    "windows": (windows, 25),
    "epoch": (epoch, 90),
    "laws": (lambda page: tests("laws", LAWS, page), 90),
    "sanitizer": (sanitizer, 100),
    **{name: (partial(peer, name), 40) for name in gpu_peers.NAMES},
}


def main(name, path, seconds, folder):
    """Run one part; return 0, 1 when something failed, 3 when it cannot run here."""
    page = Page(path, float(seconds), folder)
    try:
        PARTS[name][0](page)
    except NotRun as reason:
        page.put("not run", str(reason))
        return 3
    except Exception as error:  # what is not inside a job: an import, the first use of the device
        page.errors[name] = f"{type(error).__name__}: {str(error)[:1500]}"
    page.save()
    return 1 if page.errors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
