"""Pictures of a run, in one style and in colours that everyone can tell apart."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from minimamba.errors import InputError
from minimamba.models.explain import echo_receptive_field
from minimamba.recsys.data.windows import cut
from minimamba.recsys.fit import best_epoch
from minimamba.recsys.metrics import SHOWN
from minimamba.recsys.serve import data_of_run, open_server
from minimamba.recsys.zoo import echo_variants

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"  # of Okabe and Ito
STYLE = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 130,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}


@contextmanager
def figure(path, panels, size):
    """Open axes in the style, and write them to a file at the end."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE):
        fig, axes = pyplot.subplots(1, panels, figsize=size, squeeze=False)
        yield axes[0]
        try:
            fig.savefig(path)
        except OSError as error:
            raise InputError(f"{path} could not be written ({error.strerror})") from None
        finally:
            pyplot.close(fig)


def draw_training(path, history):
    """Draw loss and validation metrics of every epoch."""
    epochs = [record["epoch"] for record in history]
    marker = "o" if len(epochs) < 30 else None
    with figure(path, 2, (8, 3)) as (left, right):
        left.plot(epochs, [record["loss"] for record in history], color=GREY, marker=marker, ms=4)
        left.set(title="training loss (cross entropy)", xlabel="epoch")
        for name, color in zip(SHOWN, (BLUE, ORANGE, GREEN), strict=True):
            values = [record["valid"][name] for record in history]
            right.plot(epochs, values, color=color, label=name, marker=marker, ms=4)
        right.axvline(best_epoch(history)["epoch"], color=GREY, lw=1, ls=":", label="best epoch")
        right.set(title="validation", xlabel="epoch", ylim=(0, None))
        right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        for axis in (left, right):
            axis.xaxis.get_major_locator().set_params(integer=True)


def draw_filter(path, filters, length):
    """Draw the learned filter, Eq. (10.2): its spectrum, and the same as taps over time.

    Parameters
    ----------
    path : path
    filters : list of FilterParams
        One a block.
    length : int
        Of the window.
    """
    with figure(path, 2, (8, 3)) as (left, right):
        for i, filter in enumerate(filters):
            spectrum = np.asarray(filter.re) + 1j * np.asarray(filter.im)
            color = (BLUE, ORANGE, GREEN, GREY)[i % 4]
            draw_spectrum(left, np.abs(spectrum), length, color, f"block {i + 1}")
            taps = np.abs(np.fft.irfft(spectrum, n=length, axis=0)).mean(1)
            right.plot(np.arange(length), taps, color=color, marker="o", ms=3, lw=1)
        left.set(title="gain of the filter, median and quartiles of the channels")
        left.set(xlabel="frequency (cycles per click)", ylim=(0, None))
        right.set(title="its taps, mean size over the channels", ylim=(0, None))
        right.set(xlabel="clicks back (circular: the end of the window wraps)")
        if len(filters) > 1:
            left.legend()


def draw_spectrum(axis, gain, length, color, label):
    """Draw the gain of every frequency over the channels."""
    cycles = np.arange(len(gain)) / length
    low, middle, high = np.quantile(gain, (0.25, 0.5, 0.75), axis=1)
    axis.fill_between(cycles, low, high, color=color, alpha=0.2, lw=0)
    axis.plot(cycles, middle, color=color, label=label)


def same_length(seqs, rows, length, most=16):
    """Cut windows that are all equally long: the commonest length of at least half a window."""
    batch = cut(seqs, rows, length)
    count = np.bincount(batch.lengths, minlength=length + 1)
    count[: (length + 1) // 2] = 0
    chosen = np.flatnonzero(batch.lengths == (count.argmax() if count.any() else batch.lengths[0]))
    return cut(seqs, rows[chosen[:most]], length)


def draw_receptive_field(path, server, batch):
    """Draw how strongly the read-out depends on each place of the window, Eq. (11.18).

    Parameters
    ----------
    path : path
    server : Server
    batch : Batch
        Windows of one length.
    """
    variants = echo_variants(server.config.model)
    fields = echo_receptive_field(batch.item_seq, batch.lengths, server.params, **variants)
    place = np.arange(batch.item_seq.shape[1]) - (batch.lengths[0] - 1)
    titles = {
        "causal": "causal branch",
        "anticausal": "anticausal branch",
        "total": "whole model (with filter)",
    }
    colors = (BLUE, ORANGE, GREEN)
    with figure(path, 3, (9.5, 3)) as axes:
        for axis, (name, title), color in zip(axes, titles.items(), colors, strict=True):
            strength = np.asarray(fields[name], float).mean(0)
            axis.bar(place, strength / (strength.max() or 1), color=color, width=0.8)
            if place[-1] > 0:
                axis.axvspan(0.5, place[-1] + 0.5, color=GREY, alpha=0.15, lw=0)
                axis.text(place[-1] + 0.4, 1.0, "padding", ha="right", va="top", color=GREY)
            unseen = (strength[place < 0] == 0).all() and (place < 0).any()
            note = "\nearlier items: exactly 0" if unseen else ""
            axis.set(title=title + note, xlabel="place (0: last item)", ylim=(0, 1.05))
        axes[0].set_ylabel("strength (largest = 1)")


def draw_run(folder):
    """Draw every picture of a run folder.

    Returns
    -------
    paths : list of path
        training.png, filter.png and, when the log can be read, receptive_field.png.
    """
    folder, server = Path(folder), open_server(folder)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    paths = [folder / f"{name}.png" for name in ("training", "filter", "receptive_field")]
    draw_training(paths[0], [json.loads(line) for line in lines])
    length = server.config.model.length
    draw_filter(paths[1], [layer.filter for layer in server.params.layers], length)
    try:
        data = data_of_run(folder)[0]
    except InputError:
        return paths[:2]  # the log has moved: this picture needs real histories
    batch = same_length(data.seqs, data.split.test, length)
    draw_receptive_field(paths[2], server, batch)
    return paths
