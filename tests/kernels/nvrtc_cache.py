"""What the assembler says about every variant of every kernel; compiled once per content."""

import functools
import hashlib
import json

import numpy as np

from benchmarks.gpu import nvrtc
from minimamba.files import write_atomically
from minimamba.kernels import scan, selective
from minimamba.kernels.compile import source
from tests.emulator import cache_folder

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
FLAGS = ("--ftz=true",)  # compile.FLAGS without the language standard, which nvrtc.py sets
STATES = (1, 3, 16, 32, 64)


def variants(arch):
    """Return (name, files, options) of all that is compiled for one architecture."""
    generation = int(arch[3:])
    for kind in (np.dtype(np.float32), np.dtype(np.uint16)):
        memory = "float32" if kind == np.float32 else "bfloat16"
        for n in STATES if arch == "sm_90" else (16, 32):
            forward = selective.forward_shape(n).options(kind)
            backward = selective.backward_shape(n, generation).options(kind)
            yield f"forward n={n} {memory}", selective.FORWARD, forward
            yield f"backward n={n} {memory}", selective.BACKWARD, backward
            if n in (16, 32):
                segment = selective.segment_shape(n).options(kind)
                yield f"segments n={n} {memory}", selective.SEGMENTS, segment
        half = ("-DIO_BF16",) if memory == "bfloat16" else ()
        yield f"conv {memory}", ("common.cu", "causal_conv.cu"), ("-DTAPS=4", *half)
    shape = selective.backward_shape(16, generation, True).options(np.dtype(np.float32))
    yield "backward n=16 deterministic", selective.BACKWARD, (*shape, "-DDETERMINISTIC")
    for name, real in scan.REALS.items():
        half = ("-DCOMPLEX",) if name[0] == "c" else ()
        yield f"scan {name}", ("scan.cu",), (f"-DREAL={real}", "-DTHREADS=128", *half)


@functools.cache
def compiled(files, options, arch):
    """Return {kernel: registers, shared, stack, spill}, from the cache if it was asked before."""
    code, options = source(*files), (*FLAGS, *options)
    parts = [code, arch, nvrtc.library_path() or "", *options]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    path = cache_folder() / f"{key}.json"
    if not path.exists():
        found = nvrtc.resources(nvrtc.compile_cubin(code, options, arch)[1])
        write_atomically(path, json.dumps(found).encode())
    return json.loads(path.read_text())
