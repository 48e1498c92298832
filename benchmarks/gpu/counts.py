"""Registers and instructions of the fused scan, without a GPU: `results/kernel_counts.json`.

    pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm
    python -m benchmarks gpu-counts

A state-step is one state of one channel moved by one step. Instructions are counted in the
disassembly of the steady path: whole tiles, gate and softplus present, so the branches for the
rest are first edited out of the source. Time at one instruction a cycle follows from the count.
"""

import collections
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import RESULTS
from benchmarks.gpu import nvrtc
from minimamba.kernels import selective as scan
from minimamba.kernels.compile import source

STEADY = [  # from, to: what holds in the middle of a long sequence
    ("is_whole(p, t0)", "true"),
    ("if (i * W >= rows) continue;", ""),
    ("if (!whole && i * W >= rows) continue;", ""),
    ("whole || i * W < rows", "true"),
    ("i * W < rows ? x : 0.0f", "x"),
    ("if (tile > 0)", ""),
    ("if (left > T)", ""),
    ("softplus ? softplus_of(delta + bias) : delta + bias", "softplus_of(delta + bias)"),
    ("if (softplus) dd", "dd"),
    ("if (z)", ""),
    ("z ? out[i] * zz[i] * sigmoid_of(zz[i]) : out[i]", "out[i] * zz[i] * sigmoid_of(zz[i])"),
    ("ahead < left && s < N", "true"),
    ("= w * S + s < N ?", "= true ?"),
    ("if (checkpoint) {", "{"),
    ("k < T && k < left", "k < T"),
]
SCHEDULERS, CLOCK = 132 * 4, 1.98e9  # of an H200


def main(argv):
    """Count, print, and keep the table."""
    disassembler = find_nvdisasm()
    if reason := nvrtc.missing() or (None if disassembler else "nvdisasm is not installed"):
        sys.exit(f"cannot count: {reason}")
    rows = []
    for arch in ("sm_90",):
        for n in (16, 32):
            for kind in (np.dtype(np.float32), np.dtype(np.uint16)):
                for name, files, shape in [
                    ("forward", scan.FORWARD, scan.forward_shape(n)),
                    ("backward", scan.BACKWARD, scan.backward_shape(n)),
                ]:
                    rows.append(count(disassembler, arch, name, files, shape, kind))
                    print(rows[-1], flush=True)
    (RESULTS / "kernel_counts.json").write_text(json.dumps(rows, indent=1) + "\n")


def count(disassembler, arch, name, files, shape, kind):
    """Return one row of the table."""
    options = ("--ftz=true", *shape.options(kind))
    _, log = nvrtc.compile_cubin(source(*files), options, arch)
    used = nvrtc.resources(log)[f"selective_scan_{name}"]
    cubin, _ = nvrtc.compile_cubin(steady(source(*files)), options, arch)
    slots, ops = per_state_step(lines_of(disassembler, cubin), shape)
    b, l, e = 8, 2048, 2048
    seconds = b * l * e * shape.states / 32 * slots / SCHEDULERS / CLOCK
    return {
        "kernel": name,
        "arch": arch,
        "nvrtc": nvrtc.version(),
        "memory": "float32" if kind == np.float32 else "bfloat16",
        "states": shape.states,
        "states a lane": shape.per_lane,
        "registers": used["registers"],
        "shared bytes": used["shared"],
        "spilled bytes": used["spill"],
        "instructions a state-step": round(slots, 1),
        "milliseconds at one a cycle, (8, 2048, 2048)": round(1000 * seconds, 3),
        "commonest": dict(ops.most_common(8)),
    }


def steady(code):
    """Return the code with the branches of ends and absent inputs taken out."""
    for old, new in STEADY:
        code = code.replace(old, new)
    return code


def per_state_step(lines, shape):
    """Return (instructions a state-step, their kinds) from the loops of a kernel.

    The outer loop is a tile; a loop inside it (the forward has one, over checkpoint intervals)
    runs tile / 8 times.
    """
    loops = sorted(find_loops(lines), key=lambda ab: ab[1] - ab[0])
    first, last = loops[-1]
    inner = [(a, b) for a, b in loops[:-1] if first <= a and b <= last]
    counts = collections.Counter()
    for i in range(first, last + 1):
        times = shape.tile // scan.CHECKPOINT if any(a <= i <= b for a, b in inner) else 1
        counts[opcode(lines[i][1])] += times
    return sum(counts.values()) / (shape.tile * shape.per_lane), counts


def find_nvdisasm():
    """Return the path of nvdisasm: of the wheel, or of a CUDA toolkit."""
    found = list(Path(nvrtc.library_path() or "/").parent.parent.glob("bin/nvdisasm"))
    return shutil.which("nvdisasm") or next(map(str, found), None)


def lines_of(disassembler, cubin):
    """Return [(labels before it, instruction)] of the one kernel in a cubin."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [disassembler, "-c", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines, labels = [], []
    for line in text.splitlines():
        if m := re.match(r"\s*(\.L_\w+):", line):
            labels.append(m[1])
        elif m := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            lines.append((labels, m[1]))
            labels = []
    return lines


def find_loops(lines):
    """Return (first, last) of every backward branch but the one that ends a kernel."""
    where = {label: i for i, (labels, _) in enumerate(lines) for label in labels}
    for i, (_, text) in enumerate(lines):
        m = re.search(r"BRA.*`\((\.L_\w+)\)", text)
        if m and where.get(m[1], i) < i:
            yield where[m[1]], i


def opcode(text):
    """Return the name of an instruction: FFMA, MUFU.EX2."""
    name = re.sub(r"^@!?U?P\w+\s+", "", text).split()[0]
    return name if name.startswith("MUFU") else name.split(".")[0]
