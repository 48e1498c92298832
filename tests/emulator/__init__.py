"""Run a `.cu` file on the CPU: g++ compiles it after `language.h`, NumPy arrays go in.

`Emulator(order, sanitize)` is a loader for `minimamba.dispatch.using`: it stands where
`cupy.RawModule` stands on a GPU, so the host code that plans and launches runs here unchanged.
Every argument is checked against the kernel's parameter types, which CuPy does not do.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ASCENDING, DESCENDING, RANDOM = ORDERS = (0, 1, 2)
WARNINGS = ["-Wall", "-Wno-unknown-pragmas", "-Wno-unused-function"]
COMMON = ["-std=c++17", "-x", "c++", *WARNINGS, "-fno-strict-aliasing", "-fvisibility=hidden"]
BUILDS = {
    None: ["-O1", "-shared", "-fPIC"],
    "thread": ["-O1", "-g", "-DEMU_PROGRAM", "-fsanitize=thread"],
    "address": [
        *["-O1", "-g", "-DEMU_PROGRAM", "-fsanitize=address,undefined"],
        *["-fno-sanitize-recover=undefined", "-fsanitize-sections=emu_shared"],
    ],
}
KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(")
SANITIZER_OPTIONS = {
    "TSAN_OPTIONS": "halt_on_error=1 exitcode=66 report_signal_unsafe=0 history_size=4",
    "ASAN_OPTIONS": "detect_leaks=0 detect_stack_use_after_return=0",
}


class LaunchError(RuntimeError):
    """The kernel deadlocked, misused an intrinsic, or a sanitizer found something."""


def missing():
    """Return None where a compiler is at hand, else one sentence."""
    if shutil.which(os.environ.get("CXX", "g++")):
        return None
    return "the kernels are checked on the CPU with g++, which is not installed (apt install g++)"


def cache_folder():
    """Return the folder of built kernels, made if needed; MINIMAMBA_CACHE moves it."""
    root = os.environ.get("MINIMAMBA_CACHE") or Path.home() / ".cache" / "minimamba"
    folder = Path(root) / "emulator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build(code, options=(), sanitize=None):
    """Compile `code` and return the path of the library (or program); built once per content."""
    if reason := missing():
        raise RuntimeError(reason)
    compiler = os.environ.get("CXX", "g++")
    flags = [*COMMON, *BUILDS[sanitize], *(o for o in options if o.startswith("-D"))]
    headers = sorted(HERE.glob("*.h"))
    parts = [code, compiler, *flags, *(h.read_text() for h in headers)]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    target = cache_folder() / (key + (".exe" if sanitize else ".so"))
    if not target.exists():
        exports = "".join(f"EMU_EXPORT({name})\n" for name in KERNEL.findall(code))
        source = target.with_suffix(f".{os.getpid()}.cpp")
        source.write_text(f'#include "{HERE}/entry.h"\n#line 1 "kernel.cu"\n{code}\n{exports}')
        made = target.with_suffix(f".{os.getpid()}.tmp")
        command = [compiler, *flags, str(source), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        source.unlink()
        if done.returncode:
            raise RuntimeError(f"{compiler} could not compile the kernel:\n{done.stderr[:4000]}")
        os.replace(made, target)  # whoever comes second finds a whole file
    return target


class Emulator:
    """A loader: `Emulator(order)(code, options).get_function(name)(grid, block, args)`.

    order : which warp runs first: ASCENDING, DESCENDING, or RANDOM by `seed`
    sanitize : None, "thread" or "address"
    edit : a function on the code, to plant a bug
    skip : the line of a __syncthreads() to ignore, 0 for none
    generation : the GPU generation to plan for
    """

    def __init__(self, order=ASCENDING, sanitize=None, seed=0, edit=None, skip=0, generation=90):
        self.order, self.sanitize, self.seed = order, sanitize, seed
        self.edit, self.skip, self.generation = edit, skip, generation

    def capability(self):
        """Return the GPU generation that the host code should plan for."""
        return self.generation

    def accepts(self, x):
        """Say whether x is an array these kernels take: NumPy's, as CuPy's on a GPU."""
        return isinstance(x, np.ndarray)

    def __call__(self, code, options=()):
        """Build a module, or find it built."""
        return Module(self.edit(code) if self.edit else code, options, self)


class Module:
    """A compiled `.cu`, as far as this project uses `cupy.RawModule`."""

    def __init__(self, code, options, emulator):
        self.emulator = emulator
        self.path = build(code, tuple(options), emulator.sanitize)
        if emulator.sanitize is None:
            self.library = ctypes.CDLL(str(self.path))
            self.library.emu_signature.restype = ctypes.c_char_p
            self.library.emu_launch.restype = ctypes.c_char_p

    def get_function(self, name):
        """Return the kernel `name` as a callable of (grid, block, args)."""
        run = self._call if self.emulator.sanitize is None else self._run_program
        return lambda grid, block, args: run(name, _sizes(name, grid), _sizes(name, block), args)

    def _call(self, name, grid, block, args):
        declared = self.library.emu_signature(name.encode())
        if declared is None:
            raise AttributeError(f"the module has no kernel {name!r}")
        check_arguments(name, declared.decode().split(), args)
        values = [_value(a) for a in args]
        pointers = (ctypes.c_void_p * len(args))(*map(ctypes.addressof, values))
        grid, block = (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block)
        how = self.emulator
        how = (how.order, ctypes.c_uint64(how.seed), how.skip)
        error = self.library.emu_launch(name.encode(), grid, block, *how, pointers)
        if error:
            raise LaunchError(f"{name}: {error.decode()}")

    def _run_program(self, name, grid, block, args):
        with tempfile.NamedTemporaryFile(suffix=".args") as file:
            file.write(np.uint64(len(args)).tobytes() + b"".join(map(_record, args)))
            file.flush()
            how = self.emulator
            numbers = (*grid, *block, how.order, how.seed, how.skip)
            _run([str(self.path), file.name, name, *map(str, numbers)])
            data, at = Path(file.name).read_bytes(), 0
        for a in args:
            if isinstance(a, np.ndarray):
                a[...] = np.frombuffer(data, a.dtype, a.size, at).reshape(a.shape)
                at += a.nbytes


def check_arguments(name, declared, args):
    """Raise TypeError unless every argument is what the kernel declares."""
    if len(declared) != len(args):
        raise TypeError(f"{name} takes {len(declared)} arguments, got {len(args)}")
    for i, (want, a) in enumerate(zip(declared, args, strict=True)):
        if want[0] == "*":
            if a is None:
                continue
            if not isinstance(a, np.ndarray) or not a.flags.c_contiguous:
                raise TypeError(f"{name}: argument {i} must be a C-contiguous array or None")
            want = want[1:]
        elif not isinstance(a, np.generic):
            raise TypeError(f"{name}: argument {i} must be a NumPy scalar, got {type(a).__name__}")
        same_kind = want[0] in ("V", a.dtype.kind)
        if a.dtype.itemsize != int(want[1:]) or not same_kind:
            raise TypeError(f"{name}: argument {i} is {a.dtype}, the kernel declares {want}")


def _sizes(name, given):
    """Return the three sizes of a grid or a block; the driver refuses one of 0."""
    sizes = (*given, 1, 1)[:3]
    if min(sizes) < 1:
        raise LaunchError(f"{name}: invalid argument, a grid or block of {sizes}")
    return sizes


def _value(a):
    """Return memory that holds the argument: a pointer for an array, the bytes of a scalar."""
    if a is None or isinstance(a, np.ndarray):
        return ctypes.c_void_p(None if a is None else a.ctypes.data)
    return ctypes.create_string_buffer(a.tobytes(), a.nbytes)


def _record(a):
    kind = 2 if a is None else int(isinstance(a, np.ndarray))
    data = b"" if a is None else a.tobytes()
    return np.array([kind, len(data)], np.uint64).tobytes() + data


def _run(command):
    env = dict(os.environ, **SANITIZER_OPTIONS)
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if "unexpected memory mapping" in done.stderr:  # an older TSan under wide address randomisation
        done = subprocess.run(["setarch", "-R", *command], capture_output=True, text=True, env=env)
    if done.returncode:
        raise LaunchError(done.stderr[:4000] or f"the program ended with {done.returncode}")
