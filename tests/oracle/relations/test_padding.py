"""Masked tokens: a model that leaves them out is right, one that lets them in is found out."""

import numpy as np
import pytest

from minimamba import oracle

from ..mutants.kill import RIGHT


def kept(input_ids, p, state, keep):
    """Return logits and state of the kept steps, as if the others were not there."""
    some, states, _ = RIGHT.mamba_lm(input_ids[:, keep], p, state)
    logits = np.zeros((*input_ids.shape, some.shape[2]), some.dtype)
    logits[:, keep] = some
    return logits, states


def leaves_out(input_ids, p, state=None, attention_mask=None):
    everything = np.ones(input_ids.shape[1], bool)
    return kept(
        input_ids, p, state, everything if attention_mask is None else attention_mask[0] > 0
    )


def mask_is_ignored(input_ids, p, state=None, attention_mask=None):
    return leaves_out(input_ids, p, state)


def only_on_the_left(input_ids, p, state=None, attention_mask=None):
    mask = np.ones_like(input_ids) if attention_mask is None else attention_mask
    return leaves_out(input_ids, p, state, np.maximum.accumulate(mask, axis=1))


def judge(fn):
    return oracle.check(fn, op="mamba_lm", framework="numpy", cases=8, budget=20.0)


def test_a_model_that_leaves_masked_tokens_out_is_right():
    report = judge(leaves_out)
    assert report.passed, str(report)


@pytest.mark.parametrize(
    "fn, said",
    [(mask_is_ignored, "masked steps on the left"), (only_on_the_left, "get into the state")],
)
def test_a_model_that_lets_them_in_is_wrong(fn, said):
    report = judge(fn)
    assert report.exit_code == 1
    assert {f.kind for f in report.failures} == {"padding"}, str(report)
    assert any(said in line for f in report.failures for line in (f.sentence, f.drawn))
