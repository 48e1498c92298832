"""What is found out about a callable, what is listed as skipped, and what is for information."""

import numpy as np
import pytest

from minimamba import oracle
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.cases.sizes import CHANCES, KINDS, LONG
from minimamba.oracle.check import repeat
from minimamba.oracle.target.call import Target

from .. import examples
from ..mutants.kill import RIGHT, weights


def judge(fn, **more):
    return oracle.check(fn, framework="numpy", **({"cases": 40, "budget": 20.0} | more))


def with_at_most_eight_states(u, delta, A, B, C):
    if A.shape[1] > 8:
        raise ValueError("n is at most 8")
    return examples.good(u, delta, A, B, C)


def test_whoever_raises_at_an_unusual_size_is_listed_and_not_wrong():
    report = judge(with_at_most_eight_states)
    assert report.passed, str(report)
    assert "n is at most 8" in report.skipped["wide (float32)"]
    assert "skipped  wide" in str(report)


def test_declared_sizes_must_work():
    report = judge(with_at_most_eight_states, capabilities={"wide"})
    assert report.exit_code == 1 and "n is at most 8" in report.failures[0].sentence


def test_a_wrong_answer_at_an_unusual_size_is_wrong():
    def cuts(u, delta, A, B, C):
        C = np.where(np.arange(A.shape[1])[:, None] < 8, C, 0).astype(C.dtype)
        return examples.good(u, delta, A, B, C)

    report = judge(cuts, capabilities=set())
    assert report.exit_code == 1
    assert report.failures[0].sizes["n"] == 9


def test_other_bits_the_second_time_are_told_and_are_no_failure():
    rng = np.random.default_rng(0)

    def restless(u, delta, A, B, C):
        out, last = examples.good(u, delta, A, B, C)
        return np.where(rng.random(out.shape) < 0.5, np.nextafter(out, np.float32(0)), out), last

    report = judge(restless, capabilities=set())
    assert report.passed, str(report)
    found = {r.output: r for r in report.repeats}
    assert found["out"].different > 0 and found["last_state"].different == 0
    assert found["out"].calls == found["last_state"].calls >= 3
    assert "repeats  float32: out gave other bits in" in str(report)
    assert report.to_dict()["repeats"][0]["output"] in ("out", "last_state")


def test_other_bits_of_a_gradient_are_told_too():
    rng = np.random.default_rng(0)

    def conv(x, weight):
        out, _, cache = RIGHT.causal_conv1d(x, weight)
        return out, cache

    def restless(dout, dstates, cache):
        grads = RIGHT.causal_conv1d_backward(dout, None, cache)
        up = np.nextafter(grads["weight"], np.float32(0))
        return grads | {"weight": np.where(rng.random(up.shape) < 0.5, up, grads["weight"])}

    target, found = Target(conv, "causal_conv1d", framework="numpy", backward=restless), {}
    for i in range(4):
        repeat(target, draw("causal_conv1d", (0, i), "float32", {"gradients"}), found)
    assert {name for name, r in found.items() if r.different} == {"dweight"}
    assert found["dweight"].calls == found["dx"].calls == 4


def test_a_block_that_does_not_listen_to_its_weights_is_tried_with_its_own_only():
    own = {k: v.astype(np.float32) for k, v in weights().items()}

    def deaf(x, p):
        return RIGHT.mamba_block(x, own)[0]

    report = judge(deaf, op="mamba_block", weights=own, cases=8)
    assert report.passed, str(report)
    assert "does not compute with the weights" in report.skipped["weights"]


def in_torch(torch, cast):
    def scan(u, delta, A, B, C):
        h, out = 0, []
        for t in range(u.shape[2]):
            drive = (delta[..., t] * u[..., t])[..., None] * B[:, None, :, t]
            h = torch.exp(delta[..., t, None] * A) * h + drive
            out.append((h * C[:, None, :, t]).sum(2))
        return cast(torch.stack(out, 2)) if out else u

    return scan


@pytest.mark.filterwarnings("ignore:Casting")  # outside of pytest it is a mere warning
def test_who_loses_the_imaginary_part_was_not_made_for_complex_numbers():
    report = judge(examples.real_only)
    assert report.passed, str(report)
    assert "Casting complex values to real" in report.skipped["complex"]
    assert judge(examples.real_only, capabilities={"complex"}).exit_code == 1


@pytest.mark.filterwarnings("ignore:Casting")  # outside of pytest it is a mere warning
@pytest.mark.parametrize("cast, said", [("real", "Casting"), ("none", "returns complex64")])
def test_so_in_torch_which_warns_once_a_process(cast, said):
    torch = pytest.importorskip("torch")
    casts = {"real": lambda x: x.to(torch.float32), "none": lambda x: x}
    before = torch.is_warn_always_enabled()
    for _ in range(2):
        report = oracle.check(in_torch(torch, casts[cast]), framework="torch", cases=4, budget=9.0)
        assert report.passed, str(report)
        assert said in report.skipped["complex"]
    assert torch.is_warn_always_enabled() == before


@pytest.mark.parametrize("name", ["z", "gradients", "state_gradient"])
def test_what_is_declared_and_cannot_be_had_is_no_pass(name):
    report = judge(examples.real_only, capabilities={name}, cases=3)
    assert report.exit_code == 2 and "was declared to" in report.error


def test_a_declared_gradient_that_raises_is_no_pass():
    def backward(dout, dlast_state, cache):
        raise RuntimeError("not written yet")

    report = judge(examples.good, capabilities={"gradients"}, backward=backward, cases=3)
    assert report.exit_code == 2 and "but raised RuntimeError: not written yet" in report.error
    assert (
        "not written yet" in judge(examples.good, backward=backward, cases=3).skipped["gradients"]
    )


def test_every_unusual_size_turns_up_and_deep_cases_reach_the_longest():
    kinds = {draw("selective_scan", (0, i), "float32", set(KINDS)).kind for i in range(300)}
    assert kinds == {"", *CHANCES}
    deep = [draw("selective_scan", (0, i), "float32", set(KINDS), deep=True) for i in range(300)]
    assert {c.sizes()["l"] for c in deep} >= set(LONG)
    assert all(c.sizes()[k] <= 2 for c in deep if c.kind == "long" for k in "dn")  # soon done


@pytest.mark.parametrize("i", range(12))
def test_the_same_seed_draws_the_same_case(i):
    can = {*KINDS, "D", "z", "gradients", "groups"}
    one, two = (draw("selective_scan", (3, i), "bfloat16", can) for _ in range(2))
    assert one.memory == two.memory and one.kind == two.kind
    assert all(np.array_equal(x, two.inputs[k], equal_nan=True) for k, x in one.inputs.items())


def test_a_case_of_an_unknown_operation_is_refused_and_not_drawn_as_another():
    with pytest.raises(ValueError, match="no op 'discretize'; did you mean 'discretize_"):
        draw("discretize", (0, 0))
