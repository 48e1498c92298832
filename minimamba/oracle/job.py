"""What may be asked of the oracle: one field an option, of `check` and of its command alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from minimamba.oracle.contract.spec import CONTRACTS
from minimamba.oracle.target.frameworks import FRAMEWORKS


def names(words):
    """Return the names in words with commas between."""
    return tuple(name.strip() for name in words.split(",") if name.strip())


def option(default, **words):
    """Return a field with what argparse has to know of it."""
    return field(default=default, metadata=words)


@dataclass(frozen=True)
class Job:
    """The options of a check. The command has the same, in words: a function's name, a path."""

    op: str = option("selective_scan", choices=sorted(CONTRACTS), help="what it computes")
    layout: str = option("bdl", choices=("bdl", "bld"), help="bdl, mamba_ssm's, or bld")
    framework: str = option("auto", choices=("auto", *FRAMEWORKS), help="whose arrays it takes")
    dtypes: tuple = option(
        ("float32",),
        type=names,
        help="comma separated, of float32, float64, float16, bfloat16",
    )
    capabilities: frozenset = option(
        None,
        type=names,
        help="comma separated; what it must support, '' for no option (default: find out)",
    )
    backward: Callable = option(  # noqa: RUF009
        None, help="PACKAGE.MODULE:FUNCTION giving the gradients"
    )
    weights: Mapping = option(
        None,
        help="checkpoint whose names and shapes a block or model has (.npz, .safetensors)",
    )
    grade: str = option(None, help="laxest arithmetic that passes, such as 'fast math'")
    seed: int = option(0, type=int, help="same seed, same cases")
    cases: int = option(4000, type=int, help="cases for each dtype, at most")
    budget: float = option(None, type=float, help="seconds (default: 30, or 300 with --deep)")
    limit: float = option(30.0, type=float, help="seconds one call may take")
    deep: bool = option(
        False, action="store_true", help="ten times as long, half of it on 127 to 2049 steps"
    )

    @property
    def seconds(self):
        return self.budget if self.budget is not None else 300.0 if self.deep else 30.0
