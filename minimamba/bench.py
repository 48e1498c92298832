"""Running the benchmark scripts of a checkout: they are not part of an installation."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from minimamba.errors import InputError

SCRIPTS = {
    "scan": "scan.py",
    "selective": "selective_scan.py",
    "step": "training_step.py",
    "length": "length.py",
}
ON_A_GPU = "on_gpu.py"


def run_script(what, rest, device="cpu"):
    """Run a benchmark in its own process; return its exit status.

    Parameters
    ----------
    what : str
        A name in `SCRIPTS`.
    rest : list of str
        Options of the script.
    device : {"cpu", "gpu", "auto"}

    Raises
    ------
    InputError
        There is no such script beside this package, or no GPU where one is asked for.
    """
    from minimamba.gpu import placement

    on_gpu = placement(device) is not np.asarray
    name, arguments = (ON_A_GPU, [what, *rest]) if on_gpu else (SCRIPTS[what], rest)
    script = Path(__file__).resolve().parents[1] / "benchmarks" / name
    if not script.is_file():
        raise InputError(f"bench {what} runs benchmarks/{script.name}, which needs a checkout")
    return subprocess.call([sys.executable, str(script), *arguments])
