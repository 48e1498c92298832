"""Using a finished run: recommendations, reasons, reports and pictures."""

import json

import matplotlib.image
import numpy as np
import pytest

from minimamba.errors import InputError
from minimamba.models.echo import echo_scores
from minimamba.recsys import plots, run, serve, tables
from minimamba.recsys.data.dataset import open_dataset
from minimamba.recsys.data.prepare import leave_one_out
from minimamba.recsys.data.windows import window

from .helpers import random_sequences
from .test_run import settings, write_log


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder of a tiny model on a log with titles for some items."""
    folder = tmp_path_factory.mktemp("serve")
    log = write_log(folder)
    (folder / "movies.csv").write_text("movieId,title\n1,One\n2,Two\n")
    config = settings("train.epochs=2")
    data = open_dataset(log, config.data)
    list(run.train(folder / "run", config, data))
    run.finish(folder / "run", config, data)
    return folder / "run"


@pytest.fixture(scope="module")
def server(finished):
    return serve.open_server(finished)


def test_the_best_items_come_first_and_the_history_is_left_out(server):
    history = ["1", "2", "3"]
    answer = serve.recommend(server, history, k=99)
    ids = serve.number(server, history)
    scores = echo_scores(*window(ids, 6), server.params)[0]
    order = sorted(set(range(1, len(scores))) - set(ids), key=lambda i: (-scores[i], i))
    assert [pick.item for pick in answer.picks] == [server.names[i] for i in order]
    chance = np.exp(scores[1:]) / np.exp(scores[1:]).sum()
    for pick, i in zip(answer.picks, order, strict=True):
        assert pick.chance == pytest.approx(chance[i - 1], rel=1e-4)
    again = serve.recommend(server, history, k=99, repeats=True)
    assert len(again.picks) == len(server.names) - 1
    assert [p.item for p in serve.recommend(server, history, k=2).picks] == [
        server.names[i] for i in order[:2]
    ]


def test_reasons_point_at_places_of_the_history(server):
    history = ["4", "5", "6", "7"]
    for pick in serve.recommend(server, history).picks:
        assert len(pick.reasons) == 3
        shares = [abs(reason.share) for reason in pick.reasons]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1 + 1e-6
        assert all(history[-reason.back] == reason.item for reason in pick.reasons)


def test_a_long_history_is_cut_and_said_so(server):
    long = ["1", "2", "3", "4", "5", "6", "7", "8"]
    answer = serve.recommend(server, long, repeats=True)
    assert answer.notice == "the history has 8 items; the last 6 are used"
    short = serve.recommend(server, long[-6:], repeats=True)
    assert short.notice == "" and short.picks == answer.picks
    left = serve.recommend(server, long).picks
    assert not {pick.item for pick in left} & set(long)  # also what the window no longer holds


def test_bad_requests_are_one_sentence(server, tmp_path):
    with pytest.raises(InputError, match="item 'x1' is not one the model knows; did you mean '1'"):
        serve.recommend(server, ["1", "x1"])
    with pytest.raises(InputError, match="--history is empty"):
        serve.recommend(server, [])
    with pytest.raises(InputError, match="-k is 0"):
        serve.recommend(server, ["1"], k=0)
    with pytest.raises(InputError, match="there is no file"):
        serve.open_server(tmp_path)


def test_the_padding_item_has_no_name(server):
    with pytest.raises(InputError, match="item '' is not one"):
        serve.recommend(server, [""])


def test_titles_travel_with_the_weights(server):
    assert server.titles == {"1": "One", "2": "Two"}
    picks = [serve.Pick("1", 0.5, []), serve.Pick("3", 0.25, [serve.Reason("2", 1, -0.5)])]
    cells = [
        list(column.cells)
        for column in tables.answer_table(serve.Answer(picks, ""), server.titles).columns
    ]
    assert cells[1:] == [["One [1]", "3"], ["50.0%", "25.0%"], ["", "Two (1) -50%"]]


def test_evaluation_repeats_the_result_and_names_the_protocol(finished):
    result = json.loads((finished / "result.json").read_text())
    found = serve.evaluate_run(finished)
    assert list(found) == ["P1", "masked", "sampled"] and found["P1"] == result["test"]
    assert found["masked"]["HR@10"] >= found["P1"]["HR@10"]
    assert list(serve.evaluate_run(finished, protocols=["masked"])) == ["masked"]


def test_evaluation_on_another_log_is_refused(finished, tmp_path):
    with pytest.raises(InputError, match="is not the log that"):
        serve.evaluate_run(finished, write_log(tmp_path, users=25))


def test_every_picture_is_drawn_with_something_on_it(finished):
    paths = plots.draw_run(finished)
    assert [p.name for p in paths] == ["training.png", "filter.png", "receptive_field.png"]
    for path in paths:
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 300 and pixels[..., :3].std() > 0.05


def test_pictures_do_without_the_log(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "data_of_run", lambda folder: serve.data_of_run(folder, "gone"))
    assert [p.name for p in plots.draw_run(finished)] == ["training.png", "filter.png"]


@pytest.mark.parametrize("length", [1, 4, 30])
def test_the_windows_of_a_picture_are_equally_long(length):
    seqs = random_sequences(np.random.default_rng(5), users=30)
    batch = plots.same_length(seqs, leave_one_out(seqs).test, length)
    assert len(set(batch.lengths.tolist())) == 1 and 1 <= len(batch.row) <= 16


def test_runs_are_compared_in_one_table(finished, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    table = tables.runs_table([str(finished), str(tmp_path)])
    cells = [list(column.cells) for column in table.columns]
    assert cells[1] == ["P1", "not finished"] and float(cells[2][0]) >= 0
    with pytest.raises(InputError, match="is this a run folder"):
        tables.runs_table([str(tmp_path / "nothing")])
