"""Make `.venv` with one extra installed, once: `python3 .ci/venv.py test`.

Standard library only, and written so that an old Python gets a sentence instead of a SyntaxError.
A stamp for each extra holds the hash of pyproject.toml and the Python version: with the stamp in
place nothing is done and no network is needed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
VENV = Path(".venv")
SIGNS_OF_NO_NETWORK = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "Failed to fetch",
    "error sending request",
    "dns error",
    "Could not find a version that satisfies",
)


def refuse(sentence):
    """Stop with one sentence on stderr and exit code 2."""
    print("minimamba: " + sentence, file=sys.stderr)
    raise SystemExit(2)


def find_newer_python():
    """Start again under a newer Python of the PATH, or say what is missing."""
    if sys.version_info >= OLDEST:
        return
    for minor in (14, 13, 12, 11):
        found = shutil.which(f"python3.{minor}")
        if found:
            os.execv(found, [found, *sys.argv])
    have = ".".join(map(str, sys.version_info[:3]))
    refuse(
        f"Python 3.11 or newer is needed and this is {have}; "
        "name a newer one, for example `make PYTHON=/usr/bin/python3.12 demo`."
    )


def stamp_text():
    """Return what a stamp must hold to be fresh."""
    source = Path("pyproject.toml").read_bytes() + sys.version.encode()
    return hashlib.sha256(source).hexdigest()


def run(command, failure):
    """Run a command quietly; on failure show its last words and refuse with a sentence."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode == 0:
        return
    words = done.stdout + done.stderr
    if any(sign in words for sign in SIGNS_OF_NO_NETWORK):
        failure = "no package registry answered; connect to a network and run the command again."
    else:
        print("\n".join(words.strip().splitlines()[-15:]), file=sys.stderr)
    refuse(failure)


def make_venv(uv):
    """Create `.venv`, with uv when there is one."""
    text = (VENV / "pyvenv.cfg").read_text() if (VENV / "pyvenv.cfg").exists() else ""
    if ".".join(map(str, sys.version_info[:2])) in text and python().exists():
        return
    if VENV.exists():
        shutil.rmtree(VENV)
    if uv:
        command = [uv, "venv", "--python", sys.executable, str(VENV)]
    else:
        try:
            import ensurepip  # noqa: F401  (Debian ships Python without it)
        except ImportError:
            refuse("this Python has no venv module; on Debian: `sudo apt install python3-venv`.")
        command = [sys.executable, "-m", "venv", str(VENV)]
    run(command, "the virtual environment .venv could not be made (see above).")


def python():
    """Return the interpreter of `.venv`."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(extra, uv):
    """Install this checkout with one extra into `.venv`."""
    what = f".[{extra}]" if extra != "base" else "."
    if uv:
        command = [uv, "pip", "install", "--python", str(python()), "-e", what]
    else:
        command = [str(python()), "-m", "pip", "install", "--disable-pip-version-check"]
        command += ["--retries", "1", "-e", what]
    print(f"minimamba: installing {what} into .venv (once) ...", file=sys.stderr, flush=True)
    run(command, f"{what} could not be installed (see above).")


def main(extra):
    """Bring `.venv` up to date for one extra."""
    find_newer_python()
    os.chdir(str(Path(__file__).resolve().parent.parent))
    stamp = VENV / f".ready-{extra}"
    if stamp.exists() and stamp.read_text() == stamp_text() and python().exists():
        return
    if shutil.disk_usage(".").free < 10**9:
        refuse("less than 1 GB is free on this disk, and the packages need about that.")
    uv = shutil.which("uv")
    try:
        make_venv(uv)
        install(extra, uv)
        stamp.write_text(stamp_text())
    except OSError as error:
        refuse(f".venv cannot be written here ({error}).")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "base")
