"""The oracle on the command line: a target named in words, judged in a process of its own.

The target runs in a child process with a deadline, so a hang that no thread can be rid of, or a
crash, ends the child and not the oracle.
"""

import argparse
import importlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
from functools import partial

import numpy as np

from minimamba.errors import InputError
from minimamba.files import load_state_dict, write_atomically
from minimamba.oracle.check import check
from minimamba.oracle.contract.spec import CONTRACTS
from minimamba.oracle.report import save_heat_map
from minimamba.oracle.target.frameworks import FRAMEWORKS

RIGHT, WRONG, COULD_NOT = 0, 1, 2
LISTS = ("dtypes", "capabilities")
VERDICT = ".verdict"  # beside the job's file: the exit code, once there is one
GRACE = 60.0  # seconds for imports, shrinking and the call that is running when the time is up


def add_arguments(parser):
    """Add the options of `minimamba oracle` to an argparse parser."""
    add = partial(parser.add_argument, default=argparse.SUPPRESS)
    add("target", help="PACKAGE.MODULE:FUNCTION")
    add("--op", choices=sorted(CONTRACTS), help="what it computes (selective_scan)")
    add("--layout", choices=["bdl", "bld"], help="bdl, mamba_ssm's, or bld (bdl)")
    add("--framework", choices=["auto", *FRAMEWORKS], help="whose arrays it takes (auto)")
    add("--dtypes", help="comma separated, of float32, float64, float16, bfloat16 (float32)")
    add(
        "--capabilities",
        help="comma separated; what it must support, '' for no option (default: find out)",
    )
    add("--backward", help="PACKAGE.MODULE:FUNCTION giving the gradients")
    about = "checkpoint whose names and shapes a block or model has (.npz, .safetensors)"
    add("--weights", help=about)
    add("--grade", help="laxest arithmetic that passes, such as 'fast math'")
    add("--seed", type=int, help="same seed, same cases (0)")
    add("--cases", type=int, help="cases for each dtype, at most (4000)")
    add("--budget", type=float, help="seconds (30, or 300 with --deep)")
    add("--limit", type=float, help="seconds one call may take (30)")
    add("--deep", action="store_true", help="ten times as long, half of it on 127 to 2049 steps")
    add("--json", dest="json_path", help="write the report there")
    add("--heat", help="write a picture of the error of the failing case there (PNG)")


def run_target(
    target,
    layout="bdl",
    dtypes=("float32",),
    json_path=None,
    deep=False,
    budget=None,
    op="selective_scan",
    framework="auto",
    capabilities=None,
    backward=None,
    grade=None,
    seed=0,
    cases=None,
    limit=None,
    heat=None,
    weights=None,
):
    """Judge a target named PACKAGE.MODULE:FUNCTION, print the report, return the exit code.

    The arguments are those of `check`; a parsed command line may stand for all of them.

    Returns
    -------
    int
        0 if it is right, 1 if it is wrong, 2 if it could not be run.
    """
    if isinstance(target, argparse.Namespace):
        return run_target(**known(target))
    budget = (300.0 if deep else 30.0) if budget is None else budget
    job = {k: v for k, v in locals().items() if v is not None}
    for option, path in (("--json", json_path), ("--heat", heat)):
        if path and not os.path.isdir(os.path.dirname(path) or "."):
            return _failed(target, f"{option}: there is no folder {os.path.dirname(path)}", {})
    sys.stdout.flush()
    job |= {k: _list(job[k]) for k in LISTS if k in job}
    verdict, status = _in_a_process(job, min(max(budget, 0), 1e6) + GRACE)
    if status is None:
        return _failed(target, f"no answer after {budget + GRACE:g} s, it was ended", job)
    if verdict is None:
        how = f"died of signal {-status}" if status < 0 else f"ended with status {status}"
        return _failed(target, f"the process {how} before there was a verdict", job)
    return verdict


def _in_a_process(job, seconds):
    """Return the verdict that a child process left in a file, and its status; None for neither.

    The status alone says nothing: a target may end the process itself, with a 0.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "job.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(job, file)
        path_of = os.pathsep.join([os.getcwd(), *(p for p in sys.path if p)])
        try:
            done = subprocess.run(
                [sys.executable, "-m", "minimamba.oracle.command", path],
                env={**os.environ, "PYTHONPATH": path_of},
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, None
        if not os.path.exists(path + VERDICT):
            return None, done.returncode
        with open(path + VERDICT, encoding="utf-8") as file:
            return int(file.read()), done.returncode


def _list(names):
    """Return a list of names, from a sequence or from words with commas between."""
    names = names.split(",") if isinstance(names, str) else names
    return [n.strip() for n in names if n.strip()]


def _failed(target, why, job):
    print(f"{target} could not be run: {why}", file=sys.stderr)
    if job.get("json_path"):
        from minimamba.oracle.report import Report

        keys = ("op", "layout", "framework")
        _write(Report(target, *(job[k] for k in keys), error=why), job["json_path"])
    return COULD_NOT


def load(name):
    """Import PACKAGE.MODULE:FUNCTION.

    Raises
    ------
    InputError
        If the name has no colon, or what it names is not there.
    """
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise InputError(f"target must be PACKAGE.MODULE:FUNCTION, got {name!r}")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise InputError(f"cannot import {module}: {type(error).__name__}: {error}") from error
    for part in function.split("."):
        if not hasattr(found, part):
            raise InputError(f"{module} has no {function}")
        found = getattr(found, part)
    return found


def read_weights(path):
    """Return the arrays of a checkpoint by name, in double precision."""
    try:
        return {k: x.astype(np.float64) for k, x in load_state_dict(path).items()}
    except InputError as error:
        raise InputError(f"weights: {error}") from error


def _write(report, path):
    write_atomically(path, (report.to_json() + "\n").encode())


def _judge(target, json_path=None, heat=None, dtypes=("float32",), **job):
    job.setdefault("cases", 4000)  # the time is up before
    try:
        if "weights" in job:
            job["weights"] = read_weights(job["weights"])
        if "backward" in job:
            job["backward"] = load(job["backward"])
        report = check(load(target), dtypes=dtypes, **job)
    except (ValueError, TypeError, ImportError) as error:
        names = ("op", "layout", "framework")
        return _failed(target, str(error), {"json_path": json_path, **{k: job[k] for k in names}})
    report.target = target
    report.print()
    if json_path:
        _write(report, json_path)
    if heat:
        drawn = save_heat_map(report, heat)
        print(f"heat map: {heat}" if drawn else "heat map: nothing to draw, nothing was off")
    return report.exit_code


def main(argv=None):
    """Run one job file; the child process's side of `run_target`."""
    path = (argv or sys.argv[1:])[0]
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    code = _judge(**job)
    with open(path + VERDICT, "w", encoding="utf-8") as file:
        file.write(str(code))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread that hangs inside the target must not keep the process


def known(args):
    """Return the arguments of `run_target` out of an argparse namespace."""
    names = inspect.signature(run_target).parameters
    return {k: v for k, v in vars(args).items() if k in names}


def from_command_line(argv=None):
    """Parse a command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="minimamba oracle")
    add_arguments(parser)
    return run_target(**known(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
