"""EchoMamba4Rec as released, judged under its checkpoint's names; its variants are other models."""

from functools import partial

import numpy as np
import pytest

from minimamba import oracle
from minimamba.blocks.read import read_ends
from minimamba.blocks.sequence import flip_valid
from minimamba.models.echo import EchoConfig, echo_encode, echo_encode_backward, init_echo
from minimamba.models.interop import echo_from_state_dict, echo_to_state_dict
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.truth.arithmetic import evaluate, exact
from minimamba.oracle.truth.echo import echo

from .dual import Duals

CONFIG = EchoConfig(items=6, length=7, width=4, state=3, outer=2)


def given():
    return echo_to_state_dict(init_echo(np.random.default_rng(0), CONFIG))


def scores(item_seq, p, lengths, **variant):
    params = echo_from_state_dict(p)
    row, cache = echo_encode(item_seq, lengths, params, **variant)
    return row @ params.item_embedding.T, (row, cache, params.item_embedding)


def scores_backward(dscores, cache):
    row, encode, table = cache
    grads = echo_encode_backward(dscores @ table, encode)
    both = grads.item_embedding + dscores.T @ row
    return echo_to_state_dict(grads._replace(item_embedding=both))


def judged(fn, **more):
    more = {"framework": "numpy", "weights": given(), "cases": 6, "budget": 40.0} | more
    return oracle.check(fn, op="echo", **more)


def test_the_librarys_model_is_right_gradients_included():
    report = judged(scores, backward=scores_backward, dtypes=("float32", "float64"))
    assert report.passed, str(report)
    assert all(r.grade == "exact" for r in report.rows)
    assert all(r.vacuous < 0.1 for r in report.rows if r.dtype == "float64")
    assert any("float64 says more" in note for note in report.notes)  # ten norms in a row
    assert len(report.rows) == 2 * (1 + len(given()))


def halved_filter(dscores, cache):
    grads = scores_backward(dscores, cache)
    name = "mamba_layers.1.filter_layer.complex_weight"
    return grads | {name: grads[name] / 2}


def padding_is_looked_up(dscores, cache):
    grads = scores_backward(dscores, cache)
    table = grads["item_embedding.weight"].copy()
    table[0] += np.float32(0.01)
    return grads | {"item_embedding.weight": table}


def unlistening(name):
    """Return the model with one of its weights replaced by ones."""

    def fn(item_seq, p, lengths):
        return scores(item_seq, p | {name: np.ones_like(p[name])}, lengths)

    return fn


@pytest.mark.parametrize(
    "fn, backward",
    [
        (lambda item_seq, p, lengths: scores(item_seq, p, lengths, flip=flip_valid), None),
        (lambda item_seq, p, lengths: scores(item_seq, p, lengths, read=read_ends), None),
        (lambda item_seq, p, lengths: scores(item_seq, p, lengths * 0 + item_seq.shape[1]), None),
        (unlistening("mamba_layers.0.norms_backward.0.bias"), None),
        (scores, halved_filter),
        (scores, padding_is_looked_up),
    ],
)
def test_a_variant_or_a_slip_is_wrong(fn, backward):
    report = judged(fn, backward=backward, budget=6.0, dtypes=("float64",))
    assert report.exit_code == 1
    assert "lengths = np.array(" in report.failures[0].code


def test_gradients_of_the_truth_are_the_adjoint_of_the_exact_tangent():
    rng = np.random.default_rng(1)
    case = draw("echo", (0, 3), "float64", {"always weights", "gradients"}, like=given())
    ids, lengths, p = case.inputs["item_seq"], case.inputs["lengths"], given()
    p = {k: case.inputs[k] for k in p}
    dscores = case.cotangents["scores"]
    program = partial(echo, item_seq=ids, lengths=lengths)
    res = exact(program, p=p, dscores=dscores)
    for leaf in p:
        tangent = rng.standard_normal(p[leaf].shape)
        moved = {"p": p | {leaf: (p[leaf], tangent)}}
        push = evaluate(program, Duals(), moved)["scores"]
        if leaf == "item_embedding.weight":  # the padding's row is looked up, but not learned so
            tangent[0] = 0
            push = evaluate(program, Duals(), {"p": p | {leaf: (p[leaf], tangent)}})["scores"]
        forward, pulled = (push.t * dscores).sum(), (res[f"d{leaf}"] * tangent).sum()
        assert abs(forward - pulled) <= 1e-13 * (1 + abs(forward)), leaf
