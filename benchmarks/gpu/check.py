"""`make gpu-check`: everything that needs a GPU, in one command of under eight minutes.

    python -m benchmarks gpu-check [folder]

The kernels' tests on CuPy arrays, times beside their floors, one training epoch, the laws,
compute-sanitizer, the spectral rule, the ladder, and other packages where they are installed; a
table last, `gpu_check.json` and a roofline plot in the folder (default: $OUT, else gpu-check).

Each part (`gpu_parts`) is a process of its own with a time of its own: one that crashes, hangs or
loses the device is named, and the others still run. Exit code 0: nothing failed; 1: something did;
2: there is no GPU to use, and one sentence says why.
"""

import json
import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from benchmarks.gpu.page import finish
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.peers import NAMES

SECONDS = 450.0  # in all
GRACE = 15.0  # beyond its time, before a part is stopped
RUN_PART = (sys.executable, "-m", "benchmarks.gpu.parts")


def every_part(folder, parts=PARTS, seconds=SECONDS, command=RUN_PART):
    """Run every part; return the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    began, report = time.monotonic(), {"date": str(date.today()), "parts": {}}
    for name, (_, most) in parts.items():
        left = seconds - (time.monotonic() - began)
        report["parts"][name] = one_part(name, min(most, left), folder, command)
        report["seconds"] = round(time.monotonic() - began, 1)
        (folder / "gpu_check.json").write_text(json.dumps(report, indent=1) + "\n")
        if name == "device" and report["parts"][name]["status"] != "ok":
            print(f"gpu-check cannot run: {why(report['parts'][name])}", file=sys.stderr)
            return 2
        print(f"{name}: {summary(report['parts'][name])}", flush=True)
    close(report, folder)
    return 1 if any(part["status"] == "failed" for part in report["parts"].values()) else 0


def one_part(name, seconds, folder, command):
    """Run one part in a process of its own; return its page, with status and seconds."""
    if seconds < 5:
        return {"status": "not run", "why": "no time left", "seconds": 0.0}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / "page.json"
        arguments = (name, str(page), str(seconds), str(folder))
        code, said = finish([*command, *arguments], seconds + GRACE)
        result = json.loads(page.read_text()) if page.exists() else {}
    result["seconds"] = round(time.monotonic() - began, 1)
    trouble = "incomplete" if name in NAMES else "failed"  # what other packages do is no fault here
    result["status"] = {0: "ok", 3: "not run"}.get(code, trouble)
    if code is None:
        result["why"] = f"stopped after {result['seconds']:.0f} s: {last_words(said)}"
    elif code not in (0, 1, 3) or (code == 1 and not result.get("errors")):
        result["why"] = f"ended with {code}: {last_words(said)}"
    return result


def last_words(said):
    """Return the last line that a process wrote."""
    words = said.strip().splitlines()
    return words[-1].strip() if words else "it said nothing"


def why(part):
    """Return what kept a part from running, or what failed in it, in one line."""
    reasons = [part.get("results", {}).get("not run"), part.get("why")]
    reasons += [f"{name}: {error}" for name, error in part.get("errors", {}).items()]
    return "; ".join(filter(None, reasons))


def summary(part):
    """Return one line about a part."""
    left_out = len(part.get("left out", []))
    more = f", {left_out} left out" if left_out else ""
    text = f"{part['status']} in {part['seconds']:.0f} s{more}"
    return f"{text}: {why(part)}" if why(part) else text


def close(report, folder):
    """Draw the plot; print what was left out, the rule, the goals, and last the table."""
    from benchmarks.gpu import report as gpu_report

    try:
        gpu_report.draw(report, folder / "gpu_roofline.png")
    except Exception as error:  # the table does not wait for a plot
        print(f"no roofline plot: {type(error).__name__}: {error}")
    for name, part in report["parts"].items():
        for what in part.get("left out", []):
            print(f"left out of {name}: {what}")
    said = [gpu_report.heading(report), *gpu_report.rule(report), *gpu_report.goals(report)]
    rows = gpu_report.rows_of(report, "times", *NAMES, "scans")
    print("\n".join([*said, *gpu_report.table(rows)]), flush=True)


def main(argv):
    """Run everything; the folder is the first argument, else $OUT, else gpu-check."""
    return every_part(Path((argv or [os.environ.get("OUT") or "gpu-check"])[0]))
