"""A target that hangs while it is imported, where no thread of the oracle can help."""

import multiprocessing
import time

if multiprocessing.parent_process():
    time.sleep(600)


def stuck(u, delta, A, B, C):
    return u
