"""Compile CUDA C++ for a GPU that is not there: NVRTC from `pip install nvidia-cuda-nvrtc`.

`compile_cubin(code, options, arch)` returns (cubin, log); `resources(log)` reads what the assembler
said about each kernel: registers, shared memory, spills.
"""

import ctypes
import functools
import glob
import importlib.util
import os
import re


class CompileError(RuntimeError):
    """NVRTC refused the code; the message is its log."""


def library_path():
    """Return the newest NVRTC of the installed wheels, or None."""
    spec = importlib.util.find_spec("nvidia")
    found = []
    for root in spec.submodule_search_locations if spec else []:
        for pattern in ("cu*/lib/libnvrtc.so.*", "cuda_nvrtc/lib/libnvrtc.so.*"):
            found += glob.glob(os.path.join(root, pattern))
    return max((f for f in found if ".alt." not in f), default=None)


def missing():
    """Return None where NVRTC is installed, else one sentence."""
    if library_path():
        return None
    return "NVRTC is not installed: pip install 'minimamba-reference[test]' (nvidia-cuda-nvrtc)"


@functools.cache
def library():
    """Load NVRTC once, and before it what it would look for on the system's path only."""
    if reason := missing():
        raise ImportError(reason)
    for part in glob.glob(os.path.join(os.path.dirname(library_path()), "libnvrtc-builtins.so.*")):
        if ".alt." not in part:
            ctypes.CDLL(part, ctypes.RTLD_GLOBAL)
    nvrtc = ctypes.CDLL(library_path())
    nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
    return nvrtc


def version():
    """Return the version of NVRTC, '13.5'."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    check(library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


def compile_cubin(code, options=(), arch="sm_90", name="kernel.cu"):
    """Return (cubin, log) of `code` for one architecture; CompileError says what is wrong."""
    nvrtc, program = library(), ctypes.c_void_p()
    check(
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.encode(), name.encode(), 0, None, None)
    )
    try:
        flags = [f"--gpu-architecture={arch}", "--std=c++17", "-Xptxas=-v", *options]
        packed = (ctypes.c_char_p * len(flags))(*(flag.encode() for flag in flags))
        failed = nvrtc.nvrtcCompileProgram(program, len(flags), packed)
        log = _text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).decode()
        if failed:
            raise CompileError(log.strip("\0"))
        return _text(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program), log
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def check(status):
    """Raise CompileError unless an NVRTC call succeeded."""
    if status:
        raise CompileError(library().nvrtcGetErrorString(status).decode())


def _text(get_size, get, program):
    size = ctypes.c_size_t()
    check(get_size(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    check(get(program, buffer))
    return buffer.raw


def resources(log):
    """Return {kernel: {"registers", "shared", "stack", "spill"}}, bytes but for the registers."""
    found, kernel = {}, None
    for line in log.splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            kernel = found[m[1]] = {"registers": 0, "shared": 0, "stack": 0, "spill": 0}
        elif m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", line):
            kernel["stack"], kernel["spill"] = int(m[1]), int(m[2]) + int(m[3])
        elif m := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            kernel["registers"] = int(m[1])
            kernel["shared"] = int(shared[1]) if shared else 0
    return found
