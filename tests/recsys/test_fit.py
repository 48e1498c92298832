"""The training loop with the smallest model, and what it refuses."""

import numpy as np
import pytest

from minimamba.errors import InputError
from minimamba.recsys.config import Config, with_settings
from minimamba.recsys.data.prepare import leave_one_out
from minimamba.recsys.data.windows import cut
from minimamba.recsys.fit import (
    TrainingError,
    begin,
    close_epoch,
    done,
    fit,
    shuffled,
    train_step,
    training_rows,
)
from minimamba.recsys.zoo import build, first_weights

from .helpers import bigram, random_sequences

SMALL = ["train.batch=4", "model.length=5", "train.epochs=2", "train.lr=0.1", "train.dtype=float64"]


def settings(*more):
    return with_settings(Config(), [*SMALL, *more])


def log():
    seqs = random_sequences(np.random.default_rng(0))
    return seqs, leave_one_out(seqs)


def run(config, model=None):
    seqs, split = log()
    model = model or bigram(12)
    start = begin(first_weights(model, config.train.seed, config.train.dtype))
    return list(fit(model, seqs, split, config, start))


def test_an_epoch_sees_every_row_once_in_an_order_of_its_own():
    rows = np.arange(50)
    orders = [shuffled(rows, 3, epoch) for epoch in range(3)]
    assert all(sorted(order) == rows.tolist() for order in orders)
    assert not (orders[0] == orders[1]).all() and (orders[0] == shuffled(rows, 3, 0)).all()


def test_steps_and_epochs_are_counted_and_the_loss_falls():
    steps = run(settings("train.epochs=8"))
    ends = [step for step in steps if step.finished]
    batches = -(-len(log()[1].train) // 4)
    assert len(ends) == 8 and len(steps) == 8 * (batches + 1)
    assert ends[-1].state.adam.step == 8 * batches and ends[-1].state.position == 0
    assert ends[-1].loss < ends[0].loss
    losses = [step.loss for step in steps[:batches]]
    assert ends[0].loss == pytest.approx(np.mean(losses))


def test_a_run_depends_on_its_seed_alone():
    weights = [run(settings(f"train.seed={seed}"))[-1].state.params[0] for seed in (1, 1, 2)]
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()


def test_every_step_of_every_epoch_has_random_numbers_of_its_own():
    drawn, model = [], bigram(12)

    def loss(*batch):
        drawn.append(np.random.Generator(batch[-1].bit_generator).random())
        return model.loss(*batch)

    run(settings(), model._replace(loss=loss))
    assert len(set(drawn)) == len(drawn) == 20


def test_training_goes_on_bit_for_bit_from_any_step():
    steps = run(settings())
    seqs, split = log()
    for middle in (steps[0], steps[len(steps) // 4], steps[len(steps) // 2], steps[-2]):
        rest = list(fit(bigram(12), seqs, split, settings(), middle.state))
        assert (rest[-1].state.params[0] == steps[-1].state.params[0]).all()
        assert rest[-1].state.history == steps[-1].state.history


def test_the_rounded_ndcg_decides_and_a_tie_keeps_the_later_epoch():
    state = begin((np.zeros(1),))
    scores = (0.10001, 0.10004, 0.0999, 0.09994)
    improved = []
    for score in scores:
        state, better = close_epoch(state, 1, {"NDCG@10": score})
        improved.append(better)
    assert improved == [True, True, False, False] and state.waited == 2 and state.best == 0.1


def test_patience_counts_the_epochs_beyond_the_best():
    config = settings("train.patience=2", "train.epochs=99").train
    state = begin((np.zeros(1),))
    assert not done(state._replace(waited=2), config) and done(state._replace(waited=3), config)
    assert done(state._replace(epoch=99), config)


def test_a_model_that_sees_the_future_is_refused_an_all_positions_loss():
    config = settings("train.loss=all_positions")
    with pytest.raises(InputError, match=r"a bigram table is not one.*read its own target"):
        run(config, bigram(12, causal=False))
    echo = build(config.model, 12)
    with pytest.raises(InputError, match="EchoMamba4Rec is not one"):
        run(config, echo)


def test_a_causal_model_may_learn_at_all_positions():
    config = settings("train.loss=all_positions", "train.epochs=30")
    steps = run(config)
    assert steps[-1].loss < 0.8 * next(step for step in steps if step.finished).loss


def test_all_positions_rows_are_each_users_newest_training_row():
    seqs, split = log()
    rows = training_rows(seqs, split, "all_positions")
    for begin_, end in zip(seqs.offsets[:-1], seqs.offsets[1:], strict=True):
        mine = [row for row in split.train if begin_ <= row < end]
        assert not mine or mine[-1] in rows
    assert set(rows) <= set(split.train)


def test_a_loss_that_is_not_finite_stops_and_names_the_step():
    def broken(*arguments):
        value, cache = bigram(12).loss(*arguments)
        broken.calls += 1
        return (value * np.nan if broken.calls == 3 else value), cache

    broken.calls = 0
    with pytest.raises(TrainingError, match="loss became nan in epoch 1, step 3"):
        run(settings(), bigram(12)._replace(loss=broken))


def test_a_gradient_that_is_not_finite_changes_no_weight():
    seqs, split = log()
    model = bigram(12)._replace(loss_backward=lambda dloss, cache: (np.full((13, 13), np.inf),))
    state = begin(first_weights(model, 0, "float64"))
    kept = state.params[0].copy()
    with pytest.raises(TrainingError, match="a gradient became inf in epoch 1, step 1"):
        train_step(model, cut(seqs, split.train[:4], 5), state, settings().train)
    assert (state.params[0] == kept).all()


def test_clipping_bounds_the_gradient_of_a_step(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "minimamba.recsys.fit.adamw_update",
        lambda params, grads, adam, lr, decay: seen.append(grads) or (params, adam),
    )
    run(settings("train.clip=0.01", "train.epochs=1"))
    assert max(np.linalg.norm(grads[0]) for grads in seen) <= 0.01


def test_a_split_without_rows_is_refused():
    seqs, split = log()
    empty = split._replace(valid=np.array([], int))
    with pytest.raises(InputError, match="no row to train or to validate on"):
        next(fit(bigram(12), seqs, empty, settings(), begin((np.zeros((13, 13)),))))
