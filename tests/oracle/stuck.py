"""A target that hangs while it is imported, where no thread of the oracle can help."""

import sys
import time

if "minimamba.oracle.command" in " ".join(sys.orig_argv):
    time.sleep(600)


def stuck(u, delta, A, B, C):
    return u
