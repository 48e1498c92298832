"""Interaction logs as text: opening them, and turning lines into columns.

Every complaint names the file and the line, and shows what stood there.
"""

import csv
import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minimamba.errors import InputError

TEXT_CONTROL = frozenset(b"\t\n\r\f\x1b")  # control characters that text files do contain


class Log(NamedTuple):
    """Events in file order; users and items are numbered from 0 by first appearance."""

    user: np.ndarray  # (n,) int64, index into users
    item: np.ndarray  # (n,) int64, index into items
    rating: np.ndarray | None  # (n,) float64
    time: np.ndarray | None  # (n,) int64; None: the file is in order of time
    users: list  # of str, the names in the file
    items: list  # of str


class Source(NamedTuple):
    """A file's name and its lines, for messages that name both."""

    path: str
    lines: list  # of str


def sha256(path):
    """Return the hexadecimal SHA-256 of a file; a run's manifest identifies its input by it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path):
    """Return a file's content, unpacked when it is gzip."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the gzip data is cut off or damaged ({error})") from None


def open_text(path):
    """Return the lines of a text file, as UTF-8 or else as Latin-1 (older MovieLens files)."""
    data = read_bytes(path)
    if not data.strip():
        raise InputError(f"{path}: the file is empty")
    if any(byte < 32 and byte not in TEXT_CONTROL for byte in set(data)):
        raise InputError(f"{path}: this is a binary file, not a text log")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return Source(str(path), text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def complain(source, number, problem):
    """Build the error for one line; `number` counts from 1."""
    line = source.lines[number - 1]
    shown = line if len(line) <= 60 else line[:57] + "..."
    return InputError(f"{source.path} line {number}: {problem}: {shown!r}")


def whole_number(text):
    """Parse a time: an integer, or a float that is one (`8.8125e8`); ValueError otherwise."""
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if not value.is_integer():
            raise ValueError(text) from None
        return int(value)


def convert(source, numbers, texts, parse, dtype, what):
    """Parse one column; the first line that fails is named."""
    values = []
    for number, text in zip(numbers, texts, strict=True):
        try:
            values.append(parse(text))
        except (ValueError, TypeError, OverflowError):
            raise complain(source, number, f"{what}, not {text!r}, was expected") from None
    try:
        return np.array(values, dtype=dtype)
    except OverflowError:
        raise InputError(f"{source.path}: a time does not fit into 64 bits") from None


def factorize(names):
    """Number names from 0 by first appearance.

    Examples
    --------
    >>> factorize(["b", "a", "b"])
    (array([0, 1, 0]), ['b', 'a'])
    """
    index = {}
    codes = np.fromiter((index.setdefault(name, len(index)) for name in names), np.int64)
    return codes, list(index)


def make_log(source, numbers, users, items, ratings=None, times=None):
    """Assemble a Log from columns of strings; `numbers` are their line numbers."""
    for number, user, item in zip(numbers, users, items, strict=True):
        if not user or not item:
            raise complain(source, number, f"the {'item' if user else 'user'} is empty")
    if not users:
        raise InputError(f"{source.path}: there is no event in this file")
    if ratings is not None:
        ratings = convert(source, numbers, ratings, float, np.float64, "a number as rating")
    if times is not None:
        times = convert(source, numbers, times, whole_number, np.int64, "a whole number as time")
    user, users = factorize(users)
    item, items = factorize(items)
    return Log(user, item, ratings, times, users, items)


def split_rows(source, separator, skip=0):
    """Yield (line number, fields) of every line that is not blank."""
    for number, line in enumerate(source.lines[skip:], skip + 1):
        if line.strip():
            yield number, line.split(separator)


def csv_rows(source, separator, skip=0):
    """Yield (line number, fields), with quoted fields as in movies.csv."""
    reader = csv.reader(source.lines[skip:], delimiter=separator)
    for fields in reader:
        if fields:
            yield reader.line_num + skip, fields


def read_columns(source, rows, user, item, rating=None, time=None):
    """Read a table whose columns stand at the given places (counted from 0)."""
    places = [place for place in (user, item, rating, time) if place is not None]
    need, columns = max(places) + 1, [[] for _ in places]
    numbers = []
    for number, fields in rows:
        if len(fields) < need:
            problem = f"{len(fields)} column{'s' * (len(fields) != 1)}, expected {need}"
            raise complain(source, number, problem)
        numbers.append(number)
        for column, place in zip(columns, places, strict=True):
            column.append(fields[place].strip())
    users, items, *rest = columns
    ratings = rest.pop(0) if rating is not None else None
    return make_log(source, numbers, users, items, ratings, rest[0] if time is not None else None)


def read_sequences(source):
    """Read `user item item ...`, one user a line, in order of time."""
    numbers, users, items, seen = [], [], [], {}
    for number, (user, *history) in split_rows(source, None):
        if user in seen:
            problem = f"user {user!r} already has line {seen[user]} (one line a user was expected)"
            raise complain(source, number, problem)
        if not history:
            raise complain(source, number, "1 column, expected a user and at least one item")
        seen[user] = number
        numbers += [number] * len(history)
        users += [user] * len(history)
        items += history
    return make_log(source, numbers, users, items)


REVIEW_KEYS = (
    ("reviewerID", "asin", "overall", "unixReviewTime"),  # 2014 and 2018
    ("user_id", "parent_asin", "rating", "timestamp"),  # 2023
)


def read_reviews(source):
    """Read Amazon reviews: one JSON object a line."""
    numbers, columns = [], ([], [], [], [])
    for number, line in enumerate(source.lines, 1):
        if not line.strip():
            continue
        try:
            review = json.loads(line)
        except ValueError:
            raise complain(source, number, "this is not JSON") from None
        keys = next((keys for keys in REVIEW_KEYS if keys[0] in review), REVIEW_KEYS[0])
        missing = [key for key in keys if key not in review]
        if missing:
            raise complain(source, number, f"the review has no {missing[0]!r}")
        numbers.append(number)
        for column, key in zip(columns, keys, strict=True):
            column.append(str(review[key]))
    return make_log(source, numbers, *columns)
