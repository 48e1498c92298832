"""The operator and its schedules: laws, and costs and roundings counted rather than believed."""

from math import ceil, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.ops.recurrence import (
    blelloch,
    chunked,
    combine,
    hillis_steele,
    identity,
    sequential,
    work_and_depth,
)

# ---- the operator, Eqs. (4.1) and (4.2): on integers its laws hold exactly ----

steps = st.tuples(st.integers(-50, 50), st.integers(-50, 50))


@given(steps, steps, steps)
def test_combine_is_associative(x, y, z):
    assert combine(combine(x, y), z) == combine(x, combine(y, z))


@given(steps)
def test_identity_changes_nothing(x):
    assert combine(identity, x) == x == combine(x, identity)


@given(steps, steps, st.integers(-50, 50))
def test_one_combined_step_is_two_steps(x, y, h):
    a, b = combine(x, y)
    assert a * h + b == y[0] * (x[0] * h + x[1]) + y[1]


def test_combine_does_not_commute():
    assert combine((2, 1), (3, 5)) != combine((3, 5), (2, 1))


@given(st.lists(steps, min_size=1, max_size=20), st.data())
def test_a_sequence_may_be_split_and_joined_anywhere(sequence, data):
    def fold(some):
        total = identity
        for step in some:
            total = combine(total, step)
        return total

    cut = data.draw(st.integers(0, len(sequence)))
    assert combine(fold(sequence[:cut]), fold(sequence[cut:])) == fold(sequence)


@given(st.lists(steps, min_size=0, max_size=40), st.integers(-9, 9), st.integers(1, 9))
@settings(max_examples=60)
def test_schedules_agree_exactly_where_arithmetic_is_exact(sequence, start, k):
    a, b = (np.array([[s[i] for s in sequence]], dtype=object) for i in (0, 1))
    h0, expected, h = np.array([start], dtype=object), [], start
    for decay, drive in sequence:
        h = decay * h + drive
        expected.append(h)
    for schedule in (sequential, hillis_steele, blelloch, chunked(k)):
        assert schedule(a, b, h0).ravel().tolist() == expected  # Python integers: no rounding


# ---- costs, Eq. (4.7) ----


@pytest.mark.parametrize("l", [1, 2, 3, 5, 8, 13, 64, 100, 1000])
def test_costs_are_what_the_algorithms_promise(l):
    rounds = ceil(log2(l))
    assert work_and_depth(sequential, l) == (2 * l, 2 * l)
    assert work_and_depth(hillis_steele, l).depth <= 2 * rounds + 2
    # each round combines all but the first `span` pairs, at three operations
    spans = [2**i for i in range(rounds)]
    assert work_and_depth(hillis_steele, l).work == 2 + sum(3 * (l - span) for span in spans)
    assert work_and_depth(blelloch, l).work <= 7 * l
    assert work_and_depth(blelloch, l).depth <= 4 * rounds + 2


def test_chunks_trade_work_for_depth():
    work, depth = work_and_depth(chunked(32), 1024)
    assert work <= 5 * 1024 + 2 * 32 and depth <= 2 * 32 + 2 * 32 + 2


def test_nothing_costs_nothing():
    for schedule in (sequential, hillis_steele, blelloch, chunked(4)):
        assert work_and_depth(schedule, 0) == (0, 0)


def test_counting_is_by_running():
    assert work_and_depth(lambda a, b, h0: b, 7) == (0, 0)


# ---- roundings, Eq. (4.8) ----


class Product:
    """A rounded product of the decays first..last: it carries last - first roundings."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    def __mul__(self, other):
        if isinstance(other, Sum):
            return other.__rmul__(self)
        assert self.first == other.last + 1, "decays are joined out of order"
        return Product(other.first, self.last)


class Sum:
    """A rounded sum of terms: {s: (products, additions)} of what b_s has been through."""

    def __init__(self, last, terms):
        self.last, self.terms = last, terms

    def __rmul__(self, decays):
        assert decays.first == self.last + 1, "decays do not follow the state they are applied to"
        more = decays.last - decays.first + 1  # the roundings inside the product, and one more
        return Sum(decays.last, {s: (p + more, q) for s, (p, q) in self.terms.items()})

    def __add__(self, other):
        assert self.last == other.last and not self.terms.keys() & other.terms.keys()
        both = self.terms | other.terms
        return Sum(self.last, {s: (p, q + 1) for s, (p, q) in both.items()})


def symbolic(l):
    """Return (a, b, h0) of symbols: a_t is a product of one, b_t a sum of one; h0 is term 0."""
    a, b, h0 = (np.empty(shape, dtype=object) for shape in ((1, l), (1, l), (1,)))
    for t in range(1, l + 1):
        a[0, t - 1], b[0, t - 1] = Product(t, t), Sum(t, {t: (0, 0)})
    h0[0] = Sum(0, {0: (0, 0)})
    return a, b, h0


ALLOWED = {  # additions beyond t - s
    "sequential": (sequential, lambda l: 1),
    "hillis_steele": (hillis_steele, lambda l: ceil(log2(l)) + 1),
    "blelloch": (blelloch, lambda l: ceil(log2(l)) + 1),
    "chunked(1)": (chunked(1), lambda l: 2),
    "chunked(3)": (chunked(3), lambda l: 2),
    "chunked(8)": (chunked(8), lambda l: 2),
    "chunked(40)": (chunked(40), lambda l: 2),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_every_term_meets_t_minus_s_products_and_few_more_additions(name):
    schedule, allowed = ALLOWED[name]
    for l in range(1, 65):
        for t, h in enumerate(schedule(*symbolic(l))[0], start=1):
            assert h.last == t and h.terms.keys() == set(range(t + 1))
            for s, (products, additions) in h.terms.items():
                assert products == t - s
                assert additions <= t - s + allowed(l)
        assert allowed(l) <= ceil(log2(l)) + 2  # what the bound allows, Eq. (3.7)


def test_a_wrong_order_is_no_longer_a_scan():
    a, b, _ = symbolic(4)
    with pytest.raises(AssertionError, match="out of order"):
        combine((a[0, 1], b[0, 1]), (a[0, 0], b[0, 0]))
