"""How a part of `make gpu-check` keeps what it finds; how a command is run in a given time."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from minimamba import gpu
from minimamba.files import write_atomically


class NotRun(Exception):
    """A part cannot run here; the message is one sentence."""


class Page:
    """The results of a part, on the disk after each one."""

    def __init__(self, path, seconds, folder):
        self.path, self.folder = Path(path), Path(folder)
        self.ends = time.monotonic() + seconds
        self.results, self.left_out, self.errors = {}, [], {}

    def left(self):
        """Return the seconds that are left."""
        return self.ends - time.monotonic()

    def put(self, name, value):
        """Add a result."""
        self.results[name] = value
        self.save()

    def save(self):
        """Write the page; a reader never sees half of it."""
        text = json.dumps(
            {"results": self.results, "left out": self.left_out, "errors": self.errors}, indent=1
        )
        write_atomically(self.path, (text + "\n").encode())

    def run(self, jobs):
        """Run jobs, a {name: call}, while there is time; put what each returns."""
        for name, job in jobs.items():
            if self.left() < 0:
                self.left_out.append(f"{name}: no time left")
                continue
            print(f"  {name}", flush=True)
            try:
                self.put(name, job())
            except Exception as error:  # CUDA and driver errors share no base class
                if "out of memory" in str(error).lower():  # CuPy's, or another package's
                    why = gpu.explain(error) or str(error).splitlines()[0]
                    self.left_out.append(f"{name}: {why}")
                else:
                    self.errors[name] = f"{type(error).__name__}: {str(error)[:1500]}"
                self.save()
        self.save()


def finish(command, seconds):
    """Run a command with its children; return (exit code, what it said), None if it was stopped."""
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            code = child.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        said.seek(0)
        return code, said.read()
