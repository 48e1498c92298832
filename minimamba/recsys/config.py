"""A run's settings: frozen dataclasses, and the TOML they are read from and written to."""

import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import tomli_w

from minimamba.errors import InputError, nearest


def setting(default, about, least=None):
    """Declare a field with the sentence that `--help` shows and the least value allowed."""
    return field(default=default, metadata={"about": about, "least": least})


@dataclass(frozen=True)
class DataConfig:
    """Which events are used, and how they are split."""

    format: str = setting("auto", "format of the log; `minimamba data info` lists them")
    user: str = setting("", "column name of the user in a CSV or TSV")
    item: str = setting("", "column name of the item")
    time: str = setting("", "column name of the time")
    min_rating: float = setting(0.0, "keep events rated at least this; 0 keeps all")
    core: int = setting(5, "users and items have at least this many events (iterated)", 1)
    split: str = setting("leave_one_out", "leave_one_out or global_time")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and variants of the model; the defaults are the released ones."""

    name: str = setting("echo", "echo: EchoMamba4Rec")
    length: int = setting(50, "items in the window", 1)
    width: int = setting(64, "numbers in an item's embedding", 1)
    state: int = setting(32, "states of each channel of the scan", 1)
    conv: int = setting(4, "taps of the causal convolution", 1)
    expand: int = setting(2, "inner width over width", 1)
    outer: int = setting(1, "blocks of filter, mixers and gated unit", 1)
    inner: int = setting(1, "pairs of Mamba in each block", 1)
    init: str = setting("released", "released or mamba (keeps Mamba's own step sizes)")
    flip: str = setting("flip", "flip (whole window, as released) or flip_valid")
    read: str = setting("last", "last (as released) or ends")


@dataclass(frozen=True)
class TrainConfig:
    """The optimizer and when to stop."""

    loss: str = setting("last", "last (a row a prefix) or all_positions (causal models only)")
    batch: int = setting(256, "rows in a batch", 1)
    lr: float = setting(1e-3, "step size", 0)
    decay: float = setting(0.0, "AdamW's weight decay; 0 is Adam", 0)
    clip: float = setting(0.0, "largest gradient norm; 0: not clipped", 0)
    dropout: float = setting(0.2, "share of numbers dropped in training", 0)
    epochs: int = setting(300, "at most this many", 0)
    patience: int = setting(10, "stop after more than this many epochs without a better NDCG@10", 0)
    minutes: float = setting(0.0, "stop training after this time; 0: no limit", 0)
    seed: int = setting(2020, "of the first weights, the order of rows and dropout", 0)
    dtype: str = setting("float32", "float32 or float64")
    checkpoint: float = setting(60.0, "seconds between two writings of last.safetensors", 0)


@dataclass(frozen=True)
class EvaluateConfig:
    """How validation and test are measured."""

    protocol: str = setting("P1", "P1, masked or sampled")
    batch: int = setting(256, "rows in a batch", 1)
    seed: int = setting(0, "of the sampled protocol", 0)


@dataclass(frozen=True)
class Config:
    """All settings of a run."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)


CHOICES = {
    "data.split": ("leave_one_out", "global_time"),
    "model.name": ("echo",),
    "model.init": ("released", "mamba"),
    "model.flip": ("flip", "flip_valid"),
    "model.read": ("last", "ends"),
    "train.loss": ("last", "all_positions"),
    "train.dtype": ("float32", "float64"),
    "evaluate.protocol": ("P1", "masked", "sampled"),
}
# Settings that only say how long to train may differ when a run is continued.
LIMITS = ("train.epochs", "train.patience", "train.minutes", "train.checkpoint")


def check_value(path, value, declared):
    """Return the value of one setting in its type, or complain."""
    kind = type(declared.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise InputError(f"{path} is {value!r}, but a value of type {kind.__name__} was expected")
    if path in CHOICES and value not in CHOICES[path]:
        raise InputError(f"{path} is {value!r}; {nearest(value, CHOICES[path])}")
    least = declared.metadata["least"]
    if least is not None and not least <= value < float("inf"):
        raise InputError(f"{path} is {value!r}, but it must be at least {least} and finite")
    if path == "train.dropout" and value >= 1:
        raise InputError(f"{path} is {value!r}, but it must be below 1")
    return value


def config_from(tables, start=None, where="the settings"):
    """Build a Config from nested dicts, over `start`.

    Examples
    --------
    >>> config_from({"model": {"state": 16}}).model.state
    16
    >>> config_from({"model": {"stat": 16}})
    Traceback (most recent call last):
    minimamba.errors.InputError: the settings: model.stat is not known; did you mean 'state'?
    """
    config = start or Config()
    sections = [section.name for section in fields(Config)]
    for section, table in tables.items():
        if section not in sections or not isinstance(table, dict):
            hint = nearest(section, sections)
            raise InputError(f"{where}: the section {section!r} is not known; {hint}")
        declared = {known.name: known for known in fields(getattr(config, section))}
        for name in table:
            if name not in declared:
                hint = nearest(name, list(declared))
                raise InputError(f"{where}: {section}.{name} is not known; {hint}")
        values = {k: check_value(f"{section}.{k}", v, declared[k]) for k, v in table.items()}
        config = replace(config, **{section: replace(getattr(config, section), **values)})
    return config


def read_config(path):
    """Read a Config from a TOML file."""
    try:
        tables = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: this is not TOML ({error})") from None
    return config_from(tables, where=str(path))


def with_settings(config, settings):
    """Apply `section.name=value` texts, as `--set` gives them.

    Examples
    --------
    >>> with_settings(Config(), ["model.state=16", "model.read=ends"]).model.read
    'ends'
    """
    for text in settings:
        path, equals, value = text.partition("=")
        section, dot, name = path.strip().partition(".")
        if not (equals and dot):
            raise InputError(f"--set {text!r}: section.name=value was expected")
        try:
            value = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            value = value.strip()  # a bare word is a string
        config = config_from({section: {name: value}}, config, f"--set {text}")
    return config


def to_toml(config):
    """Write a Config as TOML; `read_config` reads it back equal.

    Examples
    --------
    >>> print(to_toml(Config()).splitlines()[8:11])
    ['', '[model]', 'name = "echo"']
    """
    return tomli_w.dumps(asdict(config))


def differences(one, two):
    """List the settings that differ as (path, in one, in two).

    Examples
    --------
    >>> differences(Config(), with_settings(Config(), ["model.state=16"]))
    [('model.state', 32, 16)]
    """
    one, two = asdict(one), asdict(two)
    return [
        (f"{section}.{name}", old, two[section][name])
        for section, table in one.items()
        for name, old in table.items()
        if old != two[section][name]
    ]
