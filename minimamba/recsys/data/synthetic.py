"""A log made from a known process, so that the best possible score is known too.

Every user has a hidden interest, a Markov chain that mostly stays where it is, and a hidden phase
that moves on by one with every click. A click is, at random:

- from the interest: an item of that kind, the kind's favourites more often;
- periodic: an item of the phase (morning, noon, evening, night);
- a repeat: the item clicked exactly `lag` clicks before (from the interest while there is none);
- noise: any item.

The best possible prediction is exact. With s = (interest, phase), the belief a_t(s) after t clicks
follows from Bayes' rule, one step at a time (the forward algorithm of hidden Markov models):

    a_t(s) proportional to P(x_t | s, x_{t-lag}) * sum_s' P(s | s') a_{t-1}(s')

and the next click has P(v) = sum_s P(v | s, x_{t+1-lag}) sum_s' P(s | s') a_t(s'). A ranking's
expected HR, NDCG and MRR are sums of P(item at rank r) times a weight that falls with r, so by the
rearrangement inequality ranking by P maximizes all three, and its expectation is the best possible
score of these histories. See Rabiner, A tutorial on hidden Markov models, 1989, for the recursion.
"""

from dataclasses import dataclass

import numpy as np

from minimamba.recsys.data.readers import Log, factorize

INTERESTS = ("jazz", "rock", "folk", "soul", "opera", "blues", "house", "metal")
PHASES = ("morning", "noon", "evening", "night")


@dataclass(frozen=True)
class Process:
    """The generating process; the four shares sum to 1."""

    users: int = 800
    shortest: int = 20  # clicks of a user
    longest: int = 40
    per_interest: int = 20  # items of each interest
    per_phase: int = 6  # items of each phase
    stay: float = 0.9  # chance that the interest stays
    lag: int = 6  # clicks back to the repeated item
    interest: float = 0.4
    periodic: float = 0.2
    repeat: float = 0.3
    noise: float = 0.1

    @property
    def names(self):
        """Names of the items, interests first."""
        kinds = [(kind, self.per_interest) for kind in INTERESTS]
        kinds += [(kind, self.per_phase) for kind in PHASES]
        return [f"{kind}-{i + 1:02d}" for kind, count in kinds for i in range(count)]


def emissions(process):
    """Return what each interest and each phase clicks.

    Returns
    -------
    interest : array, shape (interests, items)
        Falls with the item's place within its kind as 1 / (place + 2).
    phase : array, shape (phases, items)
        Even over the items of the phase.
    """
    liked = 1 / (np.arange(process.per_interest) + 2.0)
    split = len(INTERESTS) * process.per_interest
    interest = np.zeros((len(INTERESTS), len(process.names)))
    interest[:, :split] = np.kron(np.eye(len(INTERESTS)), liked / liked.sum())
    phase = np.zeros((len(PHASES), len(process.names)))
    even = np.full(process.per_phase, 1 / process.per_phase)
    phase[:, split:] = np.kron(np.eye(len(PHASES)), even)
    return interest, phase


def transition(process):
    """Return the chances of the next interest, one row for each interest."""
    n = len(INTERESTS)
    return np.full((n, n), (1 - process.stay) / (n - 1)) + np.eye(n) * (
        process.stay - (1 - process.stay) / (n - 1)
    )


def pick(rng, chances):
    """Draw one index from each row of a table of chances."""
    return (chances.cumsum(1) < rng.random((len(chances), 1))).sum(1).clip(max=chances.shape[1] - 1)


def simulate(process, seed):
    """Draw every user's clicks.

    Returns
    -------
    clicks : int array, shape (users, longest)
        Items from 0.
    lengths : int array, shape (users,)
    """
    rng = np.random.default_rng([seed, 7])
    by_interest, by_phase = emissions(process)
    chances = np.array([process.interest, process.periodic, process.repeat, process.noise])
    users, items = process.users, len(process.names)
    lengths = rng.integers(process.shortest, process.longest + 1, users)
    interest = rng.integers(len(INTERESTS), size=users)
    phase = rng.integers(len(PHASES), size=users)
    clicks = np.zeros((users, process.longest), np.int64)
    for t in range(process.longest):
        source = pick(rng, np.tile(chances, (users, 1)))
        source[(source == 2) & (t < process.lag)] = 0
        options = [pick(rng, by_interest[interest]), pick(rng, by_phase[phase])]
        options += [clicks[:, t - process.lag], rng.integers(items, size=users)]
        clicks[:, t] = np.choose(source, options)
        interest = pick(rng, transition(process)[interest])
        phase = (phase + 1) % len(PHASES)
    return clicks, lengths


def synthetic_log(process=None, seed=1):
    """Return the built-in log.

    Returns
    -------
    log : Log
        A click a minute, users one after the other.
    titles : dict of str to str

    Examples
    --------
    >>> log, titles = synthetic_log(Process(users=3))
    >>> len(log.users), titles["jazz-01"]
    (3, 'Jazz 1')
    """
    process = process or Process()
    clicks, lengths = simulate(process, seed)
    inside = np.arange(clicks.shape[1]) < lengths[:, None]
    user, minute = np.nonzero(inside)
    names = process.names
    item, items = factorize([names[i] for i in clicks[inside]])
    users = [f"user-{u + 1}" for u in range(process.users)]
    titles = {name: f"{name[:-3].capitalize()} {int(name[-2:])}" for name in names}
    return Log(user, item, None, 60 * minute.astype(np.int64), users, items), titles


def shares(process, t):
    """Return the shares of interest, periodic, repeat and noise at click t, counted from 0."""
    if t < process.lag:
        return process.interest + process.repeat, process.periodic, 0.0, process.noise
    return process.interest, process.periodic, process.repeat, process.noise


def predictive(process, clicks, lengths):
    """Return the exact chances of the next click.

    Parameters
    ----------
    process : Process
    clicks : int array, shape (b, l)
        Whole histories, items from 0; what lies behind a history's end is ignored.
    lengths : int array, shape (b,)

    Returns
    -------
    chances : array, shape (b, items)
    """
    by_interest, by_phase = emissions(process)
    chain, rows = transition(process), np.arange(len(clicks))
    belief = np.full((len(clicks), len(INTERESTS), len(PHASES)), 1.0)
    belief /= belief[0].size
    chances = np.zeros((len(clicks), by_interest.shape[1]))
    for t in range(lengths.max() + 1):
        interest, periodic, repeat, noise = shares(process, t)
        earlier = clicks[:, max(t - process.lag, 0)]
        at_end = lengths == t
        here = interest * belief.sum(2) @ by_interest + periodic * belief.sum(1) @ by_phase
        here += noise / here.shape[1]
        here[rows, earlier] += repeat
        chances[at_end] = here[at_end]
        x = clicks[:, min(t, clicks.shape[1] - 1)]
        same = repeat * (x == earlier) + noise / here.shape[1]
        likely = interest * by_interest[:, x].T[:, :, None] + periodic * by_phase[:, x].T[:, None]
        belief = belief * (likely + same[:, None, None])
        belief /= belief.sum((1, 2), keepdims=True)
        belief = np.roll(np.einsum("big,ij->bjg", belief, chain), 1, axis=2)
    return chances
