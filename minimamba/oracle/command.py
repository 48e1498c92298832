"""The oracle on the command line: a target named in words, judged in a process of its own.

The child process is a new one and has a deadline, so a hang that no thread can be rid of, or a
crash, ends the child and not the oracle.
"""

import argparse
import importlib
import multiprocessing
import os
import sys
from dataclasses import fields, replace
from functools import partial

import numpy as np

from minimamba.errors import InputError
from minimamba.files import load_state_dict, write_atomically
from minimamba.oracle.check import check
from minimamba.oracle.job import Job
from minimamba.oracle.report import Report, save_heat_map

RIGHT, WRONG, COULD_NOT = 0, 1, 2
GRACE = 60.0  # seconds for imports, shrinking and the call that goes on when the time is up


def add_arguments(parser):
    """Add the options of `minimamba oracle` to an argparse parser, and what they are for."""
    unsaid = {f.name: None for f in fields(Job) if f.default is None}  # a help prints no None
    parser.set_defaults(call=judge_arguments, json=None, heat=None, **unsaid)
    parser.add_argument("target", help="PACKAGE.MODULE:FUNCTION")
    add = partial(parser.add_argument, default=argparse.SUPPRESS)
    for f in fields(Job):
        default = ",".join(f.default) if isinstance(f.default, tuple) else f.default
        add(f"--{f.name}", **({} if default is None else {"default": default}), **f.metadata)
    add("--json", help="write the report there")
    add("--heat", help="write a picture of the error of the failing case there (PNG)")


def judge_arguments(args):
    """Judge what a parsed command line names."""
    job = Job(**{f.name: getattr(args, f.name) for f in fields(Job)})
    return judge(args.target, job, args.json, args.heat)


def judge(target, job, json=None, heat=None):
    """Judge a target named PACKAGE.MODULE:FUNCTION, print the report, return the exit code.

    Parameters
    ----------
    target : str
    job : Job
        With a name for `backward`, and a path for `weights`.
    json, heat : str, optional
        Where to write the report, and the picture of a failing case.

    Returns
    -------
    int
        0 if it is right, 1 if it is wrong, 2 if it could not be called.
    """
    for option, path in (("--json", json), ("--heat", heat)):
        if path and not os.path.isdir(os.path.dirname(path) or "."):
            return _could_not(target, job, f"{option}: there is no folder {os.path.dirname(path)}")
    sys.stdout.flush()
    seconds = min(max(0.0, job.seconds), 1e6) + GRACE
    verdict, status = _in_a_process(seconds, target, job, json, heat)
    if status is None:
        return _could_not(target, job, f"no answer after {seconds:g} s, it was ended", json)
    if verdict < 0:
        how = f"died of signal {-status}" if status < 0 else f"ended with status {status}"
        return _could_not(target, job, f"the process {how} before there was a verdict", json)
    return verdict


def _in_a_process(seconds, *asked):
    """Return the verdict of a child process, -1 for none, and its status, None if it goes on.

    The status alone says nothing: a target may end the process itself, with a 0.
    """
    context = multiprocessing.get_context("spawn")
    verdict = context.RawValue("i", -1)
    child = context.Process(target=_child, args=(verdict, *asked))
    child.start()
    try:
        child.join(seconds)
        return verdict.value, child.exitcode
    finally:
        child.kill()


def _child(verdict, *asked):
    sys.path.insert(0, os.getcwd())  # a target may be a file of the folder one stands in
    verdict.value = judge_here(*asked)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that hangs inside the target must not keep the process


def judge_here(target, job, json=None, heat=None):
    """Do what `judge` does in this process."""
    try:
        loaded = replace(
            job,
            backward=job.backward and load(job.backward),
            weights=job.weights and read_weights(job.weights),
        )
        report = check(load(target), **vars(loaded))
    except (ValueError, TypeError, ImportError) as error:
        return _could_not(target, job, str(error), json)
    report.target = target
    report.print()
    if json:
        _write(report, json)
    if heat:
        drawn = save_heat_map(report, heat)
        print(f"heat map: {heat}" if drawn else "heat map: nothing to draw, nothing was off")
    return report.exit_code


def _could_not(target, job, why, json=None):
    print(f"{target} could not be run: {why}", file=sys.stderr)
    if json:
        _write(Report(target, job.op, job.layout, job.framework, error=why), json)
    return COULD_NOT


def _write(report, path):
    write_atomically(path, (report.to_json() + "\n").encode())


def load(name):
    """Import PACKAGE.MODULE:FUNCTION, or say in an `InputError` what is not there."""
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
