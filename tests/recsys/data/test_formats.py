"""Every format with its quirks, on files made by hand; every complaint names file and line."""

import gzip
import json

import numpy as np
import pytest

from minimamba.errors import InputError
from minimamba.recsys.data.formats import FORMATS, Names, read_log

U_DATA = "196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t377\t1\t881250949\n"
DAT = "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n"
ML_CSV = "userId,movieId,rating,timestamp\r\n1,1,4.0,964982703\r\n2,1,4.5,964981247\r\n"
INTER = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\ta\t3\t8.8125e8\n8\tb\t1\t5.0\n"
)
AMAZON_2014 = "A2SUAM1J3GNN3B,0000013714,5.0,1400457600\nA1QGNMC6O1VW39,B00002N8SM,1.0,1284422400\n"
AMAZON_2018 = "0000013714,A2SUAM1J3GNN3B,5.0,1400457600\nB00002N8SM,A1QGNMC6O1VW39,1.0,1284422400\n"
AMAZON_2023 = "user_id,parent_asin,rating,timestamp\nAE1,B00YQ6X8EO,5.0,1588687728923\n"
NAMED = "when;who;what\n30;ann;tea\n10;bob;jam\n"
PAIRS = "1 5\n1 6\n2 5\n"
SEQUENCES = "1 5 6 7\n2 6\n"
REVIEWS = [
    {"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1400457600},
    {"reviewerID": "A2", "asin": "B2", "overall": 2.0, "unixReviewTime": 1284422400},
]


def write(folder, text, name="log"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def events(log):
    return [(log.users[u], log.items[i]) for u, i in zip(log.user, log.item, strict=True)]


@pytest.mark.parametrize(
    ("text", "form", "pairs", "times"),
    [
        (U_DATA, "movielens-100k", [("196", "242"), ("186", "302"), ("196", "377")], 881250949),
        (DAT, "movielens-dat", [("1", "1193"), ("1", "661"), ("2", "1193")], 978300760),
        (ML_CSV, "named", [("1", "1"), ("2", "1")], 964982703),
        (INTER, "recbole", [("7", "a"), ("8", "b")], 881250000),
        (
            AMAZON_2014,
            "amazon",
            [("A2SUAM1J3GNN3B", "0000013714"), ("A1QGNMC6O1VW39", "B00002N8SM")],
            1400457600,
        ),
        (
            AMAZON_2018,
            "amazon",
            [("A2SUAM1J3GNN3B", "0000013714"), ("A1QGNMC6O1VW39", "B00002N8SM")],
            1400457600,
        ),
        (AMAZON_2023, "named", [("AE1", "B00YQ6X8EO")], 1588687728923),
        (PAIRS, "pairs", [("1", "5"), ("1", "6"), ("2", "5")], None),
        (SEQUENCES, "sequences", [("1", "5"), ("1", "6"), ("1", "7"), ("2", "6")], None),
    ],
)
def test_a_format_is_detected_and_read(tmp_path, text, form, pairs, times):
    log, found = read_log(write(tmp_path, text))
    assert found == form
    assert events(log) == pairs
    if times is None:
        assert log.time is None
    else:
        assert log.time.dtype == np.int64 and log.time[0] == times


@pytest.mark.parametrize("packed", [False, True])
def test_reviews_are_json_lines_and_may_be_packed(tmp_path, packed):
    text = "\n".join(map(json.dumps, REVIEWS)).encode()
    log, form = read_log(
        write(tmp_path, gzip.compress(text, mtime=0) if packed else text, "reviews.json")
    )
    assert form == "reviews" and events(log) == [("A1", "B1"), ("A2", "B2")]
    assert list(log.rating) == [5.0, 2.0] and list(log.time) == [1400457600, 1284422400]


def test_columns_can_be_named(tmp_path):
    log, _ = read_log(write(tmp_path, NAMED), names=Names("who", "what", "when"))
    assert events(log) == [("ann", "tea"), ("bob", "jam")] and list(log.time) == [30, 10]


def test_latin_1_a_byte_order_mark_and_blank_lines_are_taken(tmp_path):
    log, _ = read_log(
        write(tmp_path, "u\ti\nAm\xe9lie\t1\n\n".encode("latin-1")), names=Names("u", "i")
    )
    assert log.users == ["Am\xe9lie"]
    log, _ = read_log(write(tmp_path, b"\xef\xbb\xbf" + PAIRS.encode()))
    assert log.users == ["1", "2"]


def test_quoted_fields_hold_separators(tmp_path):
    text = 'user,item,time\nann,"tea, green",5\n'
    assert read_log(write(tmp_path, text))[0].items == ["tea, green"]


def test_a_format_can_be_chosen_by_name(tmp_path):
    log, form = read_log(write(tmp_path, "1 2\n"), form="sequences")
    assert form == "sequences" and events(log) == [("1", "2")]
    with pytest.raises(InputError, match="format 'nonsense' is not known"):
        read_log(write(tmp_path, PAIRS), form="nonsense")


CUT_OFF = gzip.compress(b"1 2\n" * 500, mtime=0)[:-9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"\x00\x01\x02PK\x03", "binary file"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': 1}", "binary file"),
        (CUT_OFF, "cut off or damaged"),
        (U_DATA + "5\t6\t1\n", "line 4: 3 columns, expected 4: '5\\\\t6\\\\t1'"),
        (U_DATA + "5\t6\t1\tnoon\n", "line 4: a whole number as time, not 'noon', was expected"),
        (U_DATA + "5\t6\t1\t1.5\n", "line 4: a whole number as time, not '1.5'"),
        (U_DATA + "5\t6\t1\tnan\n", "line 4: a whole number as time, not 'nan'"),
        (U_DATA + "5\t6\t1\tinf\n", "line 4: a whole number as time, not 'inf'"),
        (U_DATA + "5\t6\t1\t99999999999999999999\n", "a time does not fit into 64 bits"),
        (U_DATA + "5\t6\tgood\t9\n", "line 4: a number as rating, not 'good'"),
        (DAT + "3::7\n", "line 4: 2 columns, expected 4"),
        (ML_CSV + "999,999999,5.0\r\n", "line 4: 3 columns, expected 4"),
        (U_DATA + "\t6\t1\t9\n", "line 4: the user is empty"),
        (PAIRS + "3\n", "line 4: 1 column, expected 2"),
        (SEQUENCES + "1 9 9\n", "line 3: user '1' already has line 1"),
        (SEQUENCES + "4\n", "line 3: 1 column"),
        ('{"reviewerID": "A1", "asin": "B1"}\n', "line 1: the review has no 'overall'"),
        ('{"reviewerID": "A1"\n', "line 1: this is not JSON"),
        ("a,b\n1,2\n", "no column is known to be the user; name it with --user"),
        ("userId,movieId,rating,timestamp\n", "there is no event"),
        ("1,2\n1,3\n", "no known format"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as error:
        read_log(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_log(tmp_path / "nothing")
    with pytest.raises(InputError, match="cannot be read"):
        read_log(tmp_path)


def test_an_unknown_column_name_gets_a_hint(tmp_path):
    with pytest.raises(InputError, match="no column 'whom'; did you mean 'who'"):
        read_log(write(tmp_path, NAMED), names=Names("whom", "what"))


def test_every_format_says_how_it_looks():
    assert len({form.name for form in FORMATS}) == len(FORMATS)
    assert all(form.looks for form in FORMATS)
