"""What `make gpu-check` says at its end: the table, and the roofline plot."""

from benchmarks.gpu.bench import GOALS, Row, work

HEAD = ("pass", "memory", "shape", "median ms", "fastest", "wall ms", "floor", "share", "ours")


def heading(report):
    """Return one line: the device, and what it was measured to do."""
    known = report["parts"].get("device", {}).get("results", {})
    limits = report["parts"].get("times", {}).get("results", {}).get("limits")
    line = f"{known.get('device', 'a device')}, CuPy {known.get('cupy')}, {report.get('date')}"
    if not limits:
        return line
    copied, exponentials = limits["copied"] / 1e12, limits["exponentials"] / 1e12
    return f"{line}: copies {copied:.2f} TB/s; {exponentials:.2f} T exponentials a second at most"


def rows_of(report, *parts):
    """Return every row that some parts have measured."""
    found = []
    for part in parts:
        for value in report["parts"].get(part, {}).get("results", {}).values():
            if isinstance(value, list):
                found += value
    return found


def table(rows):
    """Return the lines of a table: every row, its share of the floor, its time over ours.

    `ours` is a peer's time over that of our kernel at the same shape and memory, both as a caller
    sees them, launches included.
    """
    fused = [row for row in rows if row["what"] in ("forward", "backward")]
    lines = [HEAD, *(line(row, fused) for row in rows)]
    widths = [max(len(cells[i]) for cells in lines) for i in range(len(HEAD))]
    return ["  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) for cells in lines]


def line(row, fused):
    """Return the cells of one row."""
    least, median = row["floor"], row["median"]
    share = ("", "") if least is None else (f"{least:.3f}", f"{least / median:.0%}")
    shape = " x ".join(map(str, row["shape"]))
    numbers = (f"{median:.3f}", f"{row['fastest']:.3f}", f"{row['wall']:.3f}")
    return (row["what"], row["memory"], shape, *numbers, *share, times_ours(row, fused))


def times_ours(row, fused):
    """Return how many times our kernel's time a peer takes, or nothing."""
    ours = {
        ours["what"]: ours["wall"]
        for ours in fused
        if tuple(ours["shape"]) == tuple(row["shape"]) and ours["memory"] == row["memory"]
    }
    passes = [name for name in ("forward", "backward") if name in row["what"]]
    if row in fused or not all(name in ours for name in passes) or not passes:
        return ""
    return f"{row['wall'] / sum(ours[name] for name in passes):.1f} x"


def goals(report):
    """Return a line for each goal: what was asked of an H200, what this device took."""
    lines = []
    for row in rows_of(report, "times"):
        goal = GOALS.get((row["what"], tuple(row["shape"])))
        if goal and row["memory"] == "bfloat16":
            verdict = "reached" if row["median"] <= goal else "not reached"
            lines.append(
                f"{row['what']}: {row['median']:.3f} ms, goal {goal} on an H200: {verdict}"
            )
    return lines


def rule(report):
    """Return a line for each measured crossover of the spectral filter."""
    found = report["parts"].get("windows", {}).get("results", {})
    return [
        f"spectral {name}: the product wins up to {v['measured']} steps, the rule says {v['rule']}"
        for name, v in found.items()
        if name.startswith("crossover")
    ]


def draw(report, path):
    """Draw the roofline: exponentials a second over exponentials a byte, and both roofs."""
    rows = rows_of(report, "times")
    if not rows:
        return
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    limits = report["parts"]["times"]["results"]["limits"]
    figure, axes = plt.subplots(figsize=(8, 5))
    points = [(row, *where(Row(**row))) for row in rows]
    ridge = limits["exponentials"] / limits["copied"]
    low = min(x for _, x, _ in points) / 2
    x = np.array([min(low, ridge / 2), ridge, 2 * max(ridge, *(x for _, x, _ in points))])
    roof = np.minimum(x * limits["copied"], limits["exponentials"])
    axes.loglog(x, roof, color="black", label="copy bandwidth, then exponentials")
    draw_points(axes, points)
    axes.set_xlabel("exponentials for each byte that must move")
    axes.set_ylabel("exponentials a second")
    axes.set_title(report["parts"]["device"]["results"].get("device", ""))
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def draw_points(axes, points):
    """Draw a mark for each (row, exponentials a byte, exponentials a second); a color a shape."""
    shapes = list(dict.fromkeys(tuple(row["shape"]) for row, _, _ in points))
    for row, intensity, rate in points:
        shape = " x ".join(map(str, row["shape"]))
        name = f"{row['what']}, {row['memory']}, {shape}"
        marker = "o" if row["what"] == "forward" else "s"
        color = f"C{shapes.index(tuple(row['shape']))}"
        fill = "none" if row["memory"] == "bfloat16" else "full"
        axes.plot(intensity, rate, marker, color=color, fillstyle=fill, label=name)


def where(row):
    """Return a row's place: exponentials a byte, exponentials a second."""
    size = 4 if row.memory == "float32" else 2
    moved, exponentials = work(tuple(row.shape), size, row.what == "backward")
    return exponentials / moved, exponentials / (row.median / 1000)
