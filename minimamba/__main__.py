"""Run the command line as `python -m minimamba`."""

import sys

from minimamba.cli import main

if __name__ == "__main__":
    sys.exit(main())
