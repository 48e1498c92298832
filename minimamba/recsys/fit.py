"""The training loop, as a generator: the caller saves, prints and stops between steps.

All randomness of a step comes from a generator seeded by (seed, epoch, position), so that the
place in the run is the whole state of the random numbers: a continued run repeats it exactly.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from minimamba.arrays import to_floats
from minimamba.errors import InputError
from minimamba.ops.adam import AdamState, adam_init, adamw_update, clip_by_norm, squares
from minimamba.recsys.data.windows import cut, cut_all
from minimamba.recsys.protocol import measure
from minimamba.recsys.zoo import check_loss

# What overflows is found by our own checks, which say where; NumPy's warnings only repeat it.
QUIET = np.errstate(over="ignore", invalid="ignore")


class TrainingError(InputError):
    """Training cannot go on; the state before the step is intact."""


class Training(NamedTuple):
    """Everything a run needs to go on; saved as last.safetensors."""

    params: Any
    adam: AdamState
    epoch: int  # epochs done
    position: int  # batches done in this epoch
    loss_sum: float  # of this epoch's batches so far
    best: float  # best validation NDCG@10 so far, rounded to four decimals; -1: none
    waited: int  # epochs since then
    history: tuple  # one dict an epoch


class Step(NamedTuple):
    """What `fit` yields after every step and after every epoch."""

    state: Training
    batches: int  # in an epoch
    loss: float  # of this step; of the epoch at its end
    finished: bool  # the epoch is finished and validated
    improved: bool  # and its weights are the best so far


def begin(params):
    """Return the state before the first step."""
    return Training(params, adam_init(params), 0, 0, 0.0, -1.0, 0, ())


def shuffled(rows, seed, epoch):
    """Return the rows in the order of one epoch."""
    return np.random.default_rng([seed, 1, epoch]).permutation(rows)


def training_rows(seqs, split, loss):
    """Return the rows of an epoch: every prefix, or one window a user for an all-positions loss."""
    if loss == "last":
        return split.train
    user = np.searchsorted(seqs.offsets, split.train, side="right")
    return split.train[np.flatnonzero(np.diff(user, append=-1))]  # the newest row of each user


def scorer(model, params):
    """Return (item_seq, lengths) -> scores; the batch is the host's, the scores the weights'."""

    @QUIET
    def score(*batch):
        return model.scores(*batch, params)

    return score


@QUIET
def train_step(model, batch, state, settings):
    """Take one step: loss, gradients, update.

    The batch stays on the host, where its numbers are checked, and a GPU is waited for once: for
    the loss and the norm of the gradient together. Where either is not finite no weight changes.
    """
    where = f"epoch {state.epoch + 1}, step {state.position + 1}"
    rng = np.random.default_rng([settings.seed, 2, state.epoch, state.position])
    rows = (batch.item_seq, batch.lengths, batch.target)
    loss, cache = model.loss(*rows, state.params, settings.dropout, rng)
    grads = model.loss_backward(1.0, cache)
    loss, *parts = to_floats(loss, *squares(grads))
    if not math.isfinite(loss):
        raise TrainingError(f"the loss became {loss} in {where}; try a smaller train.lr")
    norm = sum(parts) ** 0.5
    if not math.isfinite(norm):
        raise TrainingError(f"a gradient became {norm} in {where}; try a smaller train.lr")
    grads = clip_by_norm(grads, norm, settings.clip) if settings.clip else grads
    params, adam = adamw_update(state.params, grads, state.adam, settings.lr, decay=settings.decay)
    loss_sum = state.loss_sum + loss
    return loss, state._replace(
        params=params, adam=adam, position=state.position + 1, loss_sum=loss_sum
    )


def rounded(record):
    """Return the NDCG@10 of an epoch's record as protocol P1 compares it."""
    return round(record["valid"]["NDCG@10"], 4)


def best_epoch(history):
    """Return the record of the best epoch; a tie keeps the later one."""
    return max(history, key=lambda record: (rounded(record), record["epoch"]))


def close_epoch(state, batches, valid):
    """Return the state after an epoch with the given validation metrics.

    As in protocol P1 the rounded NDCG@10 decides, and a tie keeps the later epoch.
    """
    record = {"epoch": state.epoch + 1, "loss": state.loss_sum / batches, "valid": valid}
    score = rounded(record)
    improved = score >= state.best
    return state._replace(
        epoch=state.epoch + 1,
        position=0,
        loss_sum=0.0,
        best=score if improved else state.best,
        waited=0 if improved else state.waited + 1,
        history=(*state.history, record),
    ), improved


def done(state, settings):
    """Say whether early stopping or the number of epochs ends the run."""
    return state.epoch >= settings.epochs or state.waited > settings.patience


def fit(model, seqs, split, config, state):
    """Train from `state` on, yielding after every step and every epoch.

    Parameters
    ----------
    model : Model
    seqs : Sequences
    split : Split
    config : Config
    state : Training
        From `begin`, or one that an earlier `fit` yielded: the one yielded last is good also after
        a TrainingError.

    Yields
    ------
    Step
    """
    settings, length = config.train, config.model.length
    check_loss(model, settings.loss)
    if not len(split.train) or not len(split.valid):
        raise InputError("the split leaves no row to train or to validate on; use a longer log")
    every = training_rows(seqs, split, settings.loss)
    window = cut if settings.loss == "last" else cut_all
    batches = -(-len(every) // settings.batch)
    while not done(state, settings):
        rows = shuffled(every, settings.seed, state.epoch)
        while state.position < batches:
            first = state.position * settings.batch
            batch = window(seqs, rows[first : first + settings.batch], length)
            loss, state = train_step(model, batch, state, settings)
            yield Step(state, batches, loss, False, False)
        valid, _ = measure(scorer(model, state.params), seqs, split.valid, config, (10,))
        state, improved = close_epoch(state, batches, valid)
        yield Step(state, batches, state.history[-1]["loss"], True, improved)
