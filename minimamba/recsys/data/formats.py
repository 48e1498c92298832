"""Which format is this log? Detection from the first lines, and the reader of each format.

Times are whole numbers (int64). Events of one user are ordered by time with a stable sort, so
that equal times keep their order in the file; a file without times is taken to be in order.
"""

import csv
from collections.abc import Callable
from typing import NamedTuple

from minimamba.errors import InputError, nearest
from minimamba.recsys.data.readers import (
    csv_rows,
    open_text,
    read_columns,
    read_reviews,
    read_sequences,
    split_rows,
)

TIE_RULE = "stable sort on int64 times; equal times keep the order of the file"

USER_NAMES = ("userId", "user_id", "user", "reviewerID")
ITEM_NAMES = ("movieId", "item_id", "parent_asin", "asin", "itemId", "item")
RATING_NAMES = ("rating", "overall")
TIME_NAMES = ("timestamp", "unixReviewTime", "time")


class Names(NamedTuple):
    """Column names given on the command line; empty: the usual names."""

    user: str = ""
    item: str = ""
    time: str = ""


USUAL = Names()


class Format(NamedTuple):
    """One kind of log file."""

    name: str
    looks: str
    matches: Callable  # (list of the first lines that are not blank) -> bool
    read: Callable  # (Source, Names) -> Log


def is_number(text):
    """Say whether a field is a number (a header has none)."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def header_separator(line):
    """Return the separator of a header line: the commonest of tab, comma, semicolon, bar."""
    return max("\t,;|", key=line.count)


def has_header(head):
    """Say whether the first line names columns: several fields, none of them a number."""
    fields = head[0].split(header_separator(head[0]))
    return len(fields) > 1 and not any(map(is_number, fields))


def mostly(head, separator, count):
    """Say whether most of the first lines have `count` fields."""
    return 2 * sum(len(line.split(separator)) == count for line in head) > len(head)


def find_column(source, header, given, usual, what):
    """Return the place of a column, by the name given or else by a usual one."""
    if given and given not in header:
        hint = nearest(given, header)
        raise InputError(f"{source.path} line 1: there is no column {given!r}; {hint}")
    name = given or next((name for name in usual if name in header), None)
    if name is None and what:
        raise InputError(
            f"{source.path} line 1: no column is known to be the {what}; "
            f"name it with --{what}; the header has {', '.join(header)}"
        )
    return header.index(name) if name else None


def read_named(source, names):
    """Read a table with a header; RecBole's types (`user_id:token`) are dropped from the names."""
    first = next(number for number, line in enumerate(source.lines) if line.strip())
    separator = header_separator(source.lines[first])
    header = next(csv.reader([source.lines[first]], delimiter=separator))
    header = [name.split(":")[0].strip() for name in header]
    user = find_column(source, header, names.user, USER_NAMES, "user")
    item = find_column(source, header, names.item, ITEM_NAMES, "item")
    time = find_column(source, header, names.time, TIME_NAMES, "")
    rating = find_column(source, header, "", RATING_NAMES, "")
    return read_columns(source, csv_rows(source, separator, first + 1), user, item, rating, time)


def looks_like_asin(text):
    """Say whether a field is an Amazon item: ten characters, `B...` or an ISBN."""
    return len(text) == 10 and (text.startswith("B") or text[:9].isdigit())


def read_amazon(source, names):
    """Read ratings without a header: user,item (2014) or item,user (2018), by the item's form."""
    rows = [line.split(",") for line in source.lines[:100] if line.count(",") == 3]
    first = sum(looks_like_asin(row[0]) for row in rows)
    second = sum(looks_like_asin(row[1]) for row in rows)
    user, item = (1, 0) if first > second else (0, 1)
    return read_columns(source, csv_rows(source, ","), user, item, 2, 3)


FORMATS = (
    Format(
        "reviews",
        "Amazon reviews, one JSON object a line, also .gz",
        lambda head: head[0].lstrip().startswith("{"),
        lambda source, names: read_reviews(source),
    ),
    Format(
        "recbole",
        "RecBole .inter: tabs, header user_id:token item_id:token ...",
        lambda head: "\t" in head[0] and ":token" in head[0],
        read_named,
    ),
    Format(
        "movielens-dat",
        "MovieLens .dat: user::item::rating::time",
        lambda head: "::" in head[0],
        lambda source, names: read_columns(source, split_rows(source, "::"), 0, 1, 2, 3),
    ),
    Format(
        "movielens-100k",
        "MovieLens u.data: user item rating time, tabs, no header",
        lambda head: not has_header(head) and mostly(head, "\t", 4),
        lambda source, names: read_columns(source, split_rows(source, "\t"), 0, 1, 2, 3),
    ),
    Format(
        "named",
        "CSV or TSV with a header (MovieLens, Amazon 2023, or --user --item --time)",
        has_header,
        read_named,
    ),
    Format(
        "amazon",
        "Amazon ratings CSV without a header: user,item,rating,time or item,user,rating,time",
        lambda head: mostly(head, ",", 4),
        read_amazon,
    ),
    Format(
        "pairs",
        "user item, one event a line, in order",
        lambda head: "," not in head[0] and all(len(line.split()) <= 2 for line in head),
        lambda source, names: read_columns(source, split_rows(source, None), 0, 1),
    ),
    Format(
        "sequences",
        "user item item ..., one user a line, in order",
        lambda head: "," not in head[0] and len(head[0].split()) >= 2,
        lambda source, names: read_sequences(source),
    ),
)


def detect(source, names=USUAL):
    """Return the Format of a log, from its first lines.

    Examples
    --------
    >>> from minimamba.recsys.data.readers import Source
    >>> detect(Source("log", ["1::5::4::978300760"])).name
    'movielens-dat'
    """
    if any(names):
        return next(form for form in FORMATS if form.name == "named")
    head = [line for line in source.lines if line.strip()][:1000]
    for form in FORMATS:
        if form.matches(head):
            return form
    raise InputError(
        f"{source.path} line 1: no known format; name the columns with --user --item --time or "
        f"choose --format from {', '.join(form.name for form in FORMATS)}: {head[0][:60]!r}"
    )


def read_log(path, form="auto", names=USUAL):
    """Read an interaction log.

    Parameters
    ----------
    path : str or path
        The file; gzip is unpacked.
    form : str
        Name of a format in `FORMATS`, or "auto".
    names : Names
        Column names of a CSV or TSV with a header.

    Returns
    -------
    log : Log
        Events in file order.
    name : str
        The format that was read.
    """
    source, known = open_text(path), {known.name: known for known in FORMATS}
    if form != "auto" and form not in known:
        raise InputError(f"format {form!r} is not known; {nearest(form, ['auto', *known])}")
    found = detect(source, names) if form == "auto" else known[form]
    return found.read(source, names), found.name
