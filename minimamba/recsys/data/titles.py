"""Titles of items, from the item file that comes with a log."""

import csv
from pathlib import Path

from minimamba.errors import InputError
from minimamba.recsys.data.readers import csv_rows, open_text, split_rows

ITEM_FILES = ("u.item", "movies.dat", "movies.csv")


def find_titles(log_path):
    """Return the item file that lies beside a log, or None."""
    log_path = Path(log_path)
    beside = [log_path.with_suffix(".item"), *(log_path.parent / name for name in ITEM_FILES)]
    return next((path for path in beside if path.is_file()), None)


def title_columns(source, header):
    """Return the places of the item and of its title in a header."""
    names = [name.split(":")[0].strip().lower() for name in header]
    title = next((i for i, name in enumerate(names) if "title" in name), None)
    if title is None:
        raise InputError(f"{source.path} line 1: no column is a title: {', '.join(names)}")
    item = next((i for i, name in enumerate(names) if name in ("item_id", "movieid", "asin")), 0)
    return item, title


def read_titles(path):
    """Read {item: title} from u.item, movies.dat, movies.csv or a RecBole .item file."""
    source = open_text(path)
    first = source.lines[0]
    if "::" in first:
        rows, item, title = split_rows(source, "::"), 0, 1
    elif "|" in first and "\t" not in first and not first.lower().startswith("movieid"):
        rows, item, title = split_rows(source, "|"), 0, 1
    else:
        separator = "\t" if "\t" in first else ","
        item, title = title_columns(source, next(csv.reader([first], delimiter=separator)))
        rows = csv_rows(source, separator, 1)
    titles = {}
    for number, fields in rows:
        if len(fields) <= max(item, title):
            raise InputError(f"{path} line {number}: {len(fields)} columns, no title among them")
        titles[fields[item].strip()] = fields[title].strip()
    return titles
