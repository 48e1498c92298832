"""How fast is a training step of EchoMamba4Rec? Forward, backward and Adam, beside PyTorch.

    python -m benchmarks step                all sizes (minutes)
    python -m benchmarks step --quick        the smallest, few rounds, nothing saved

Width 64, 32 states, one layer, 3,416 items, dropout 0.2, float32, one core, histories as long as
MovieLens-1M's. The rounds of all programs alternate; memory is measured in a process of its own.
"""

import cProfile
import json
import pstats
import statistics
import subprocess
import sys

import numpy as np

from benchmarks.common import (
    absent,
    allocated,
    interleave,
    not_installed,
    parser,
    ratio,
    resident,
    save,
    say_left_out,
    show,
)
from benchmarks.peers import mambapy_pscan, torch_loop
from minimamba import EchoConfig, echo_loss, echo_loss_backward, init_echo
from minimamba.ops.adam import adam_init, adam_update
from minimamba.trees import tree_leaves, tree_map

SIZES = [(64, 50), (256, 50), (64, 200), (256, 200)]
ITEMS, RATE, OURS = 3416, 0.2, "minimamba"
SCANS = {"torch, loop": torch_loop, "torch, mambapy pscan": mambapy_pscan}
NEEDS = {"torch, loop": ("torch",), "torch, mambapy pscan": ("torch", "mambapy.pscan")}


def draw(b, l, items=ITEMS, dtype="float32", **sizes):
    """Return a batch and weights; lengths are log-normal with a median of 99 items, cut at l."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(4.6, 1.0, b)).astype(int), 3, l)
    item_seq = rng.integers(1, items + 1, (b, l)) * (np.arange(l) < lengths[:, None])
    params = init_echo(rng, EchoConfig(items=items, length=l, **sizes))
    target = rng.integers(1, items + 1, b)
    return (item_seq, lengths, target), tree_map(lambda x: x.astype(dtype), params)


def our_step(batch, params):
    """Return a call that takes one training step after the other."""
    state, rng = [params, adam_init(params)], np.random.default_rng(1)

    def step():
        _, cache = echo_loss(*batch, state[0], RATE, rng)
        state[:] = adam_update(state[0], echo_loss_backward(1.0, cache), state[1])

    return step


def torch_step(batch, params, scan):
    """Return the same in PyTorch."""
    import torch

    from benchmarks.cpu import echo_torch

    torch.set_num_threads(1)
    params, batch = echo_torch.to_torch(params), [torch.from_numpy(x) for x in batch]
    optimizer = torch.optim.Adam([leaf for _, leaf in tree_leaves(params)])

    def step():
        optimizer.zero_grad(set_to_none=True)
        echo_torch.loss(*batch, params, RATE, scan).backward()
        optimizer.step()

    return step


def contenders(batch, params):
    """Return {name: step} of every program that is installed, ours first."""
    steps = {OURS: our_step(batch, params)}
    for name, scan in SCANS.items():
        if name not in not_installed(NEEDS):
            steps[name] = torch_step(batch, params, scan)
    return steps


def check_equal():
    """Require of all programs the same loss and gradients before anything is timed."""
    if absent("torch"):
        return
    import torch

    from benchmarks.cpu import echo_torch

    batch, params = draw(3, 7, items=20, dtype="float64", width=8, state=4)
    loss, cache = echo_loss(*batch, params)
    grads = dict(tree_leaves(echo_loss_backward(1.0, cache)))
    leaves = echo_torch.to_torch(params)
    theirs = echo_torch.loss(*map(torch.from_numpy, batch), leaves)
    assert abs(theirs.item() - loss) < 1e-12
    for path, grad in echo_torch.gradients(theirs, leaves).items():
        scale = np.abs(grads[path]).max()
        assert np.abs(grad.numpy() - grads[path]).max() <= 1e-10 * scale, path


def memory(b, l, name):
    """Return the growth of resident memory during one step, in MiB, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "step", "--memory", name, str(b), str(l)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def measure_memory(name, b, l):
    """Print what one step takes; the first step, so that nothing hides in reused pages."""
    step = contenders(*draw(int(b), int(l)))[name]
    print(json.dumps(resident(step) / 2**20))


def profile(step, rows=12):
    """Return where our step spends its time: [[function, share], ...]."""
    profiler = cProfile.Profile()
    profiler.runcall(step)
    stats = pstats.Stats(profiler)
    spent = sorted(((s[2], key) for key, s in stats.stats.items()), reverse=True)[:rows]
    return [[key[2].strip("<>"), round(own / stats.total_tt, 3)] for own, key in spent]


def measure(b, l, rounds, seconds):
    """Time every program at one size; return what goes into the JSON file."""
    steps = contenders(*draw(b, l))
    times = interleave(steps, rounds, seconds)
    programs = {
        name: {
            "ms": statistics.median(times[name]) * 1e3,
            "ratio": ratio(times, name, OURS),
            "MiB": memory(b, l, name),
        }
        for name in times
    }
    programs[OURS]["MiB allocated"] = allocated(steps[OURS]) / 2**20
    return {"b": b, "l": l, "programs": programs, "profile": profile(steps[OURS])}


def report(result):
    """Print one size's table, and where our time goes."""
    rows = {
        name: [f"{x[key]:.{digits}f}" for key, digits in (("ms", 0), ("ratio", 2), ("MiB", 0))]
        for name, x in result["programs"].items()
    }
    title = f"one training step, b = {result['b']}, l = {result['l']}, float32"
    show(title, rows, ["ms", "/ ours", "peak MiB"])
    print("where ours goes:", ", ".join(f"{n} {s:.0%}" for n, s in result["profile"][:6]), "\n")


def main(argv):
    if argv[:1] == ["--memory"]:
        return measure_memory(*argv[1:])
    args = parser(__doc__).parse_args(argv)
    check_equal()
    say_left_out(not_installed(NEEDS))
    results = []
    for b, l in SIZES[:1] if args.quick else SIZES:
        results.append(measure(b, l, *((3, 5) if args.quick else (9, 90))))
        report(results[-1])
        if not args.quick:
            save("training_step", {"results": results})  # the largest size takes minutes
