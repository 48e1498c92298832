"""Titles from every kind of item file."""

import pytest

from minimamba.errors import InputError
from minimamba.recsys.data.titles import find_titles, read_titles


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("u.item", "1|Am\xe9lie (2001)|01-Jan-2001||http://x?a|0|1\n2|Heat|x||y|1|0\n"),
        ("movies.dat", "1::Am\xe9lie (2001)::Comedy\n2::Heat::Action|Crime\n"),
        ("movies.csv", "movieId,title,genres\n1,Am\xe9lie (2001),Comedy|Drama\n2,Heat,Crime\n"),
        (
            "log.item",
            "item_id:token\tmovie_title:token_seq\tclass:token_seq\n"
            "1\tAm\xe9lie (2001)\tC\n2\tHeat\tD\n",
        ),
    ],
)
def test_titles_are_read(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    assert read_titles(tmp_path / name) == {"1": "Am\xe9lie (2001)", "2": "Heat"}
    assert find_titles(tmp_path / "log.inter") == tmp_path / name


def test_a_quoted_title_keeps_its_comma(tmp_path):
    (tmp_path / "movies.csv").write_text('movieId,title\n11,"American President, The (1995)"\n')
    assert read_titles(tmp_path / "movies.csv") == {"11": "American President, The (1995)"}


def test_bad_item_files_are_named(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text("movieId,genres\n1,Comedy\n")
    with pytest.raises(InputError, match="line 1: no column is a title"):
        read_titles(path)
    path.write_text("movieId,title\n1\n")
    with pytest.raises(InputError, match="line 2: 1 columns, no title"):
        read_titles(path)


def test_without_an_item_file_there_are_no_titles(tmp_path):
    assert find_titles(tmp_path / "u.data") is None
