"""Is this implementation right? The truth, the tolerance, and the judgement of any callable.

truth < contract < bound < cases < target < relations < check < command: each imports from the left.
"""

from minimamba.oracle.check import check
from minimamba.oracle.exchange import compare, read_case, write_case
from minimamba.oracle.truth.reference import selective_scan

__all__ = ["check", "compare", "read_case", "selective_scan", "write_case"]
