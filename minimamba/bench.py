"""Running the benchmark scripts of a checkout: they are not part of an installation."""

import subprocess
import sys
from pathlib import Path

from minimamba.errors import InputError

SCRIPTS = {
    "scan": "scan.py",
    "selective": "selective_scan.py",
    "step": "training_step.py",
    "length": "length.py",
}


def run_script(what, rest):
    """Run a benchmark in its own process; return its exit status.

    Raises
    ------
    InputError
        There is no such script beside this package.
    """
    script = Path(__file__).resolve().parents[1] / "benchmarks" / SCRIPTS[what]
    if not script.is_file():
        raise InputError(f"bench {what} runs benchmarks/{script.name}, which needs a checkout")
    return subprocess.call([sys.executable, str(script), *rest])
