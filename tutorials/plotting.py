"""One look for every figure of the course: colour-blind safe, readable in print.

A cell reads `figure, axes = plotting.subplots(1, 2)`, draws, ends with `plotting.finish(figure)`.
Lines differ in colour, dash and marker, so that a grey print still tells them apart.
"""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette, darkest first; yellow is left out: it vanishes on white paper.
BLUE, ORANGE, GREEN, PINK, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, BLACK)
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "x")

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "image.cmap": "cividis",
}


def subplots(rows=1, columns=1, width=None, height=2.9, **options):
    """Return `(figure, axes)` in the course's style; one column is 4.4 inches wide."""
    plt.rcParams.update(STYLE)
    size = (width or min(4.4 * columns, 10.5), height * rows)
    return plt.subplots(rows, columns, figsize=size, layout="constrained", **options)


def looks():
    """Yield colour, dash and marker for one line after the other."""
    for colour, dash, marker in cycle(zip(COLOURS, DASHES, MARKERS, strict=True)):
        yield {"color": colour, "linestyle": dash, "marker": marker, "markerfacecolor": "white"}


def lines(axes, x, series, **options):
    """Draw `{label: y}` over x, each with its own colour, dash and marker, and a legend."""
    for (label, y), look in zip(series.items(), looks(), strict=False):
        axes.plot(x, y, label=label, **{**look, **options})
    axes.legend()


def slope_guide(axes, x, y_at_end, order, label):
    """Draw a thin grey line of slope `order` in a log-log plot, as a ruler for the eye."""
    x = np.asarray([min(x), max(x)], dtype=float)
    y = y_at_end * (x / x[-1]) ** order
    axes.plot(x, y, color="#999999", linewidth=1, linestyle=(0, (2, 2)))
    axes.annotate(label, (x[0], y[0]), color="#555555", fontsize=8, va="top", ha="left")


def heatmap(axes, values, title, xlabel, ylabel, symmetric=False):
    """Show a matrix with its scale; `symmetric` puts zero in the middle of two colours."""
    values = np.asarray(values)
    options = {"interpolation": "nearest", "aspect": "auto", "origin": "upper"}
    if symmetric:
        top = np.abs(values).max() or 1.0
        options |= {"cmap": "PuOr", "vmin": -top, "vmax": top}
    image = axes.imshow(values, **options)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.figure.colorbar(image, ax=axes, shrink=0.9)
    return image


def finish(figure):
    """End a figure's cell: nothing is printed, and the notebook shows the figure by itself."""
    figure.canvas.draw_idle()
