"""The GPU: is there one, which, why not, and what went wrong, in a sentence each."""

import sys

import numpy as np

from minimamba.errors import InputError

INSTALL = "pip install 'minimamba-reference[gpu-cuda13]' (or gpu-cuda12)"


def unavailable():
    """Say why CuPy cannot be used, in one sentence; None when it can.

    A real kernel is run, because a driver without a run-time compiler passes every cheaper test.

    Examples
    --------
    >>> reason = unavailable()
    >>> reason is None or isinstance(reason, str)
    True
    """
    try:
        import cupy
    except ImportError:
        return f"CuPy is not installed: {INSTALL}"
    try:
        if not cupy.cuda.is_available():
            return "CuPy finds no CUDA device: is an NVIDIA driver installed?"
        float((cupy.arange(2) + 1).sum())
    except Exception as error:  # CUDA, driver, NVRTC and loader errors share no other base class
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        if "nvrtc" in reason.lower():
            return f"CuPy finds no NVRTC, its compiler; {INSTALL} brings it ({reason})"
        return f"CuPy cannot run a kernel: {reason}"
    return None


def describe():
    """Return which GPU CuPy uses, with its generation and driver; call it where there is one."""
    import cupy

    runtime, device = cupy.cuda.runtime, cupy.cuda.Device()
    name = runtime.getDeviceProperties(device.id)["name"].decode()
    free, total = (size / 2**30 for size in runtime.memGetInfo())
    driver = runtime.driverGetVersion()
    return (
        f"{name}, sm_{device.compute_capability}, {free:.1f} of {total:.1f} GiB free, "
        f"driver for CUDA {driver // 1000}.{driver % 1000 // 10}, CuPy {cupy.__version__}"
    )


def placement(device):
    """Return the function that moves an array to a device: "cpu", "gpu", or "auto" for the better.

    Raises
    ------
    InputError
        A GPU is asked for and cannot be used; the message says why.
    """
    reason = None if device == "cpu" else unavailable()
    if device == "gpu" and reason:
        raise InputError(f"--device gpu: {reason}")
    if device == "cpu" or reason:
        return np.asarray
    import cupy

    return cupy.asarray


def explain(error):
    """Return one sentence for an error that CuPy or the driver raised, or None for any other.

    Examples
    --------
    >>> explain(ValueError("no")) is None
    True
    """
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(error, cupy.cuda.memory.OutOfMemoryError):
        return _explain_out_of_memory(error, cupy)
    if type(error).__module__.split(".")[0] not in ("cupy", "cupy_backends", "cuda"):
        return None
    first = (str(error).strip() or "without a message").splitlines()[0]
    return f"the GPU or its driver failed ({type(error).__name__}: {first})"


def _explain_out_of_memory(error, cupy):
    """CuPy's message has the size asked for; say what would fit, and what to do."""
    free, total = cupy.cuda.runtime.memGetInfo()
    held = cupy.get_default_memory_pool().free_bytes()
    gib = 2**30
    return (
        f"{str(error).rstrip('.')}; {(free + held) / gib:.2f} of {total / gib:.2f} GiB would fit: "
        "lower the batch size, the length or the width"
    )
