"""Are time and memory of the selective scan linear in the length? From 1,024 to 65,536 tokens.

python -m benchmarks length              prints, saves length.json and length.png
python -m benchmarks length --quick      up to 8,192 tokens, nothing is saved
"""

import statistics

import numpy as np
from matplotlib.figure import Figure

from benchmarks.common import RESULTS, allocated, exponent, interleave, parser, save, show
from benchmarks.cpu.selective import draw, ours

LENGTHS = [1024 * 2**i for i in range(7)]
WIDTH, STATE = 64, 16


def measure(l, rounds):
    """Return the median times and the allocations of one length."""
    inputs, dy = draw((1, l, WIDTH, STATE), "float32")
    calls = dict(zip(("forward", "forward and backward"), ours(inputs, dy), strict=True))
    times = interleave(calls, rounds)
    return {
        name: {
            "seconds": statistics.median(times[name]),
            "bytes": allocated(call),
            "naive states, bytes": l * WIDTH * STATE * 4,
        }
        for name, call in calls.items()
    }


def fit(found, name):
    """Return the exponent of the time, and of the memory once the work arrays are taken off.

    Memory is a constant and a part that grows: a straight line tells them apart.
    """
    lengths = list(found)
    slope, constant = np.polyfit(lengths, [found[l][name]["bytes"] for l in lengths], 1)
    growing = [found[l][name]["bytes"] - constant for l in lengths]
    seconds = [found[l][name]["seconds"] for l in lengths]
    return {
        "seconds": exponent(lengths, seconds),
        "bytes": exponent(lengths, growing),
        "constant MiB": constant / 2**20,
        "bytes per token": slope,
    }


def plot(found, fits):
    """Draw time and memory against length, each with its fitted exponent."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    shown = (
        ("seconds", 1e3, "{}: $l^{{{:.2f}}}$"),
        ("bytes", 2**-20, "{}: constant + $l^{{{:.2f}}}$"),
    )
    for axis, (key, unit, label) in zip(axes, shown, strict=True):
        for name, line in fits.items():
            values = [found[l][name][key] * unit for l in list(found)]
            axis.loglog(list(found), values, "o-", label=label.format(name, line[key]))
        axis.set(xlabel="length", ylabel={"seconds": "ms", "bytes": "MiB allocated"}[key])
        axis.legend(frameon=False)
    everything = [found[l]["forward"]["naive states, bytes"] / 2**20 for l in list(found)]
    axes[1].loglog(list(found), everything, "k:", label="one (b, l, e, n) array, never made")
    axes[1].legend(frameon=False)
    figure.suptitle(f"selective scan, b = 1, e = {WIDTH}, n = {STATE}, float32")
    path = RESULTS / "length.png"
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return path


def report(found, fits):
    """Print time and memory at every length, and the exponents."""
    for name, line in fits.items():
        rows = {
            f"{l:,}": [f"{x[name]['seconds'] * 1e3:.1f}", f"{x[name]['bytes'] / 2**20:.2f}"]
            for l, x in found.items()
        }
        rows["exponent"] = [f"{line['seconds']:.3f}", f"{line['bytes']:.3f}"]
        show(name, rows, ["ms", "MiB allocated"])


def main(argv):
    args = parser(__doc__, rounds=5).parse_args(argv)
    lengths = LENGTHS[:4] if args.quick else LENGTHS
    found = {l: measure(l, args.rounds) for l in lengths}
    fits = {name: fit(found, name) for name in ("forward", "forward and backward")}
    report(found, fits)
    if not args.quick:
        print(save("length", {"width": WIDTH, "state": STATE, "lengths": found, "fits": fits}))
        print(plot(found, fits))
