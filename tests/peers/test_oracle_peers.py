"""Bugs of public packages, found by the oracle without being told where to look.

Pinned: mambapy 1.2.0, transformers 5.23.0. `docs/findings.md` has what it printed. A newer version
that is right makes a test here fail, and a page there historical.
"""

import warnings

import pytest

from minimamba import oracle

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch", reason="needs the extra `peers`")
    torch.set_num_threads(1)
    return torch


@pytest.fixture(scope="module")
def hf_scan(torch):
    name = "transformers.models.mamba.modeling_mamba"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip(name, reason="needs the extra `peers`")
    return module.mamba_selective_scan


def pscan_in_any_shape(a, b):
    from mambapy.pscan import pscan

    return pscan(*(x.reshape(*x.shape[:3], -1) for x in (a, b))).reshape(b.shape)


def check(fn, **more):
    return oracle.check(fn, **({"framework": "torch", "budget": 40.0, "cases": 40} | more))


def test_gradients_of_mambapys_complex_scan_lack_a_conjugate(torch):
    pytest.importorskip("mambapy", reason="needs the extra `peers`")
    report = check(pscan_in_any_shape, op="recurrence", layout="bld")
    assert report.exit_code == 1
    rows = {r.output: r for r in report.rows}
    assert rows["h"].passed and not rows["da"].passed and not rows["db"].passed
    failure = next(f for f in report.failures if f.output == "db")
    assert failure.sizes == {"b": 1, "l": 2, "d": 1} and "complex64" in failure.code


def test_mambapys_real_scan_is_right(torch):
    pytest.importorskip("mambapy", reason="needs the extra `peers`")
    can = {"trailing", "gradients"}
    report = check(
        pscan_in_any_shape,
        op="recurrence",
        layout="bld",
        capabilities=can,
        dtypes=("float32", "float64"),
    )
    assert report.passed, str(report)


def test_transformers_scan_is_right_in_float32(hf_scan):
    report = check(hf_scan)
    assert report.passed, str(report)
    assert {"groups", "complex", "constant"} <= set(report.skipped)


def test_transformers_float64_scan_is_computed_in_float32(hf_scan):
    report = check(hf_scan, dtypes=("float64",))
    out = next(r for r in report.rows if r.output == "out")
    assert report.exit_code == 1 and out.grade == "float32 inside"
    assert 1e5 < out.worst < 1e10  # in tolerances of float64


def test_transformers_bfloat16_scan_is_graded(hf_scan):
    report = check(hf_scan, dtypes=("bfloat16",))
    grade = {r.output: r.grade for r in report.rows}
    assert report.exit_code == 1
    assert grade["out"] == grade["last_state"] == "delta in io dtype"
    assert any("out has dtype float32" in f.sentence for f in report.failures)


def test_transformers_loses_its_state_when_it_continues_by_several_tokens(torch, hf_scan):
    fn, weights = language_model(torch)

    def unmasked(input_ids, p, state=None):
        return fn(input_ids, p, state)

    report = check(unmasked, op="mamba_lm", weights=weights, cases=12)
    assert report.exit_code == 1
    assert all(r.passed for r in report.rows)  # whole sequences and their gradients are right
    (failure,) = report.failures
    assert failure.kind == "split" and "in two parts" in failure.sentence
    assert failure.sizes["l"] == 3  # one token, then two


def test_padding_on_the_right_gets_into_transformers_state_although_it_is_masked(torch, hf_scan):
    fn, weights = language_model(torch)

    def masked(input_ids, p, state=None, attention_mask=None):
        return fn(input_ids, p, state, attention_mask)

    report = check(masked, op="mamba_lm", weights=weights, cases=8)
    failure = next(f for f in report.failures if f.kind == "padding")
    assert "masked steps" in failure.sentence and "get into the state" in failure.sentence
    assert failure.sizes == {"b": 1, "l": 2, "v": 11}  # one token, masked padding, one more


def language_model(torch):
    """Return a tiny random `MambaForCausalLM` as a target, and its weights."""
    from transformers import MambaConfig, MambaForCausalLM

    sizes = {"vocab_size": 11, "hidden_size": 6, "state_size": 3, "num_hidden_layers": 1}
    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(**sizes, conv_kernel=4, expand=2, time_step_rank=2))
    weights = {k: w.double().numpy() for k, w in model.state_dict().items() if "head" not in k}

    def fn(input_ids, p, state=None, mask=None):
        p = p | {"lm_head.weight": p["backbone.embeddings.weight"]}
        given = {"input_ids": input_ids, "cache_params": state, "use_cache": True}
        given["attention_mask"] = mask
        out = torch.func.functional_call(model, p, kwargs=given, tie_weights=True)
        return out.logits, out.cache_params

    return fn, weights


def test_jaxs_associative_scan_is_right_gradients_included():
    jax = pytest.importorskip("jax", reason="needs the extra `peers`")

    def scan(a, b):
        def join(x, y):
            return x[0] * y[0], y[0] * x[1] + y[1]

        return jax.lax.associative_scan(join, (a, b), axis=1)[1]

    # every shape is compiled on its own, so the cases are few
    report = check(scan, op="recurrence", layout="bld", framework="jax", cases=3, limit=300.0)
    assert report.passed, str(report)
    assert "complex" not in report.skipped


def test_float64_under_jax_without_x64_is_refused_in_a_sentence():
    jax = pytest.importorskip("jax", reason="needs the extra `peers`")

    def scan(a, b):
        return jax.lax.associative_scan(lambda x, y: (x[0] * y[0], y[0] * x[1] + y[1]), (a, b))[1]

    before = jax.config.jax_enable_x64  # peers that are timed in float64 leave it on
    jax.config.update("jax_enable_x64", False)
    try:
        report = check(scan, op="recurrence", layout="bld", framework="jax", dtypes=("float64",))
    finally:
        jax.config.update("jax_enable_x64", before)
    assert report.exit_code == 2 and "jax_enable_x64" in report.error


def test_conjugated_views_of_torch_come_back_as_what_they_say(torch):
    def scan(a, b):
        h = [b[:, 0]]
        for t in range(1, b.shape[1]):
            h.append(a[:, t] * h[-1] + b[:, t])
        return torch.stack(h, 1).conj()

    report = check(lambda a, b: scan(a.conj(), b.conj()), op="recurrence", layout="bld", cases=8)
    assert report.passed and "complex" not in report.skipped, str(report)
