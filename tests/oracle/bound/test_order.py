"""The order lemma of the bound, by counting the roundings that every term meets, symbolically."""

import numpy as np
import pytest


class Partial:
    """A partial result: for every leaf it holds, the products and additions it has been through."""

    def __init__(self, leaves):
        self.leaves = leaves


def leaf(i):
    return Partial({i: (0, 0)})


def combine(earlier, later):
    """(a', b') after (a, b) is (a' a, a' b + b'): the product of k factors costs k - 1 more."""
    factors = len(later.leaves)
    out = {i: (p + factors, q + 1) for i, (p, q) in earlier.leaves.items()}
    return Partial(out | {i: (p, q + 1) for i, (p, q) in later.leaves.items()})


def left(l):
    out = [leaf(0)]
    for t in range(1, l):
        out.append(combine(out[-1], leaf(t)))
    return out


def right(l):
    def fold(t):
        x = leaf(t)
        for s in reversed(range(t)):
            x = combine(leaf(s), x)
        return x

    return [fold(t) for t in range(l)]


def hillis_steele(l):
    v, k = [leaf(i) for i in range(l)], 1
    while k < l:
        v = [combine(v[i - k], v[i]) if i >= k else v[i] for i in range(l)]
        k *= 2
    return v


def blelloch(l):
    size = 1 << max(0, (l - 1).bit_length())
    v, k = [leaf(i) for i in range(size)], 1
    while k < size:
        for i in range(2 * k - 1, size, 2 * k):
            v[i] = combine(v[i - k], v[i])
        k *= 2
    while (k := k // 2) >= 1:
        for i in range(3 * k - 1, size, 2 * k):
            v[i] = combine(v[i - k], v[i])
    return v[:l]


def chunked(inner, width=8):
    def scan(l):
        out = []
        for start in range(0, l, width):
            local = inner(min(width, l - start))
            moved = [Partial({i + start: n for i, n in x.leaves.items()}) for x in local]
            out += [combine(out[start - 1], x) for x in moved] if start else moved
        return out

    return scan


ORDERS = [left, hillis_steele, blelloch, chunked(left), chunked(hillis_steele), chunked(blelloch)]
LENGTHS = (1, 2, 3, 8, 13, 64, 100)


def additions_beyond(states):
    return max(q - (t - s) for t, x in enumerate(states) for s, (_, q) in x.leaves.items())


@pytest.mark.parametrize("order", [*ORDERS, right])
@pytest.mark.parametrize("l", LENGTHS)
def test_every_order_multiplies_a_term_by_exactly_the_later_decays(order, l):
    for t, x in enumerate(order(l)):
        assert {s: p for s, (p, _) in x.leaves.items()} == {s: t - s for s in range(t + 1)}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("l", LENGTHS)
def test_the_usual_orders_stay_within_the_additions_the_bound_allows(order, l):
    assert additions_beyond(order(l)) <= int(np.ceil(np.log2(l))) + 2


def test_a_right_fold_does_not_and_is_the_reason_the_bound_names_its_orders():
    assert additions_beyond(right(100)) == 99
