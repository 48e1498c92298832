"""Is this implementation right? The truth, the tolerance, and the judgement of any callable."""

from .exchange import compare, read_case, write_case
from .reference import selective_scan
from .verdict import check

__all__ = ["check", "compare", "read_case", "selective_scan", "write_case"]
