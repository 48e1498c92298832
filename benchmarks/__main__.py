"""The one door to what is measured: `python -m benchmarks NAME [options]`, in a checkout."""

import argparse
import difflib
import os
import sys
from importlib import import_module

CPU, GPU = "benchmarks.cpu", "benchmarks.gpu"
BENCHMARKS = {  # name: (module with a `main(argv)`, what it asks)
    "scan": (f"{CPU}.scan", "the schedules of the recurrence, beside memcpy, plain C and peers"),
    "selective": (f"{CPU}.selective", "the selective scan and its gradients, beside C and peers"),
    "passes": (f"{CPU}.passes", "what every pass of the selective scan costs"),
    "length": (f"{CPU}.length", "is the selective scan linear in time and memory?"),
    "step": (f"{CPU}.step", "a training step of EchoMamba4Rec, beside PyTorch"),
    "fidelity": (f"{CPU}.fidelity", "how far the untrained model looks back, by initialization"),
    "bound": ("benchmarks.oracle.bound", "does the error bound hold, and is it tight?"),
    "oracle": ("tests.oracle.study", "does the oracle call a right implementation wrong?"),
    "gpu-check": (f"{GPU}.check", "every kernel on this GPU: numbers, times, floors, peers"),
    "gpu-counts": (f"{GPU}.counts", "registers and instructions of the kernels; needs no GPU"),
}
ON_A_GPU = ("scan", "selective", "step", "length")  # take --device gpu; prints only
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


def pin():
    """Start this program again on one core with one thread, unless it is there already.

    Thread counts are read when libraries are loaded, so they have to be set before. Only Linux
    lets a process choose its core.
    """
    if os.environ.get("MINIMAMBA_PINNED"):
        return
    core = None
    if hasattr(os, "sched_setaffinity"):
        core = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
    os.environ |= ONE_THREAD | {"MINIMAMBA_PINNED": str(core)}
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def listing():
    """Return the names, each with its question."""
    return "\n".join(f"  {name:<12}{about}" for name, (_, about) in BENCHMARKS.items())


def refusal(name, device):
    """Return why there is nothing to run under a name, or None."""
    if name not in BENCHMARKS:
        near = difflib.get_close_matches(name, BENCHMARKS, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(BENCHMARKS)}"
        return f"no benchmark is called {name!r}; {hint}"
    if device == "gpu" and name not in ON_A_GPU:
        return f"{name} takes no --device gpu; {', '.join(ON_A_GPU)} do"
    return None


def main(argv):
    """Run a benchmark with the rest of the options; return its exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks", add_help=False, allow_abbrev=False)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    args, (name, *rest) = parser.parse_known_args(argv or ["--help"])
    if name in ("-h", "--help"):
        print(f"{__doc__}\n\n{listing()}\n\n{', '.join(ON_A_GPU)} also with --device gpu.")
        return 0
    if reason := refusal(name, args.device):
        print(f"benchmarks: {reason}", file=sys.stderr)
        return 2
    if args.device == "gpu":
        return import_module(f"{GPU}.on_gpu").main([name, *rest])
    module, _ = BENCHMARKS[name]
    if module.startswith(CPU):
        pin()
    return import_module(module).main(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
