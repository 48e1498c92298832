"""Put one file of MathJax, with all its extensions, into docs/_static: no network to read the site.

It comes from npm's package at build time and is not committed. Without npm the site is built all
the same and its pages then load MathJax from its public address when they are read.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "docs" / "_static" / "tex-svg-full.js"
MEMBER = "package/es5/tex-svg-full.js"


def main():
    """Fetch the file once."""
    if TARGET.exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not here: formulas will need a network when read.", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", "mathjax@3"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        packed = list(Path(folder).glob("mathjax-*.tgz"))
        if done.returncode or not packed:
            print("MathJax was not reached: formulas will need a network.", file=sys.stderr)
            return
        with tarfile.open(packed[0]) as archive:
            TARGET.write_bytes(archive.extractfile(MEMBER).read())


if __name__ == "__main__":
    main()
