"""Is this implementation right? The truth, the tolerance, and the judgement of any callable."""

from .reference import selective_scan
from .verdict import check

__all__ = ["check", "selective_scan"]
