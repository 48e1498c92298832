"""Cases on disk: what is written comes back, and is judged as `check` would."""

import struct
from pathlib import Path

import numpy as np
import pytest

from minimamba import oracle
from minimamba.errors import InputError
from minimamba.oracle.exchange import ENTRY, MAGIC, read_flat

from .examples import good

EVERYTHING = ("D", "z", "delta_bias", "delta_softplus", "initial_state")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    path = tmp_path_factory.mktemp("case") / "scan"
    return path, oracle.write_case(path, seed=3)


def test_both_files_hold_the_same_arrays(case):
    path, written = case
    for again in (oracle.read_case(f"{path}.npz"), oracle.read_case(f"{path}.bin")):
        assert set(again) == set(written)
        for name, x in written.items():
            assert again[name].dtype == x.dtype and np.array_equal(again[name], x)


def test_every_array_of_the_flat_file_is_aligned_for_a_gpu(case):
    path, written = case
    data = Path(f"{path}.bin").read_bytes()
    assert data.startswith(MAGIC)
    for name, x in written.items():
        if x.size > 1:
            assert any(data.startswith(x.tobytes(), at) for at in range(0, len(data), 64)), name


def test_intermediates_lead_from_inputs_to_outputs(case):
    w = case[1]
    h = np.zeros_like(w["between.h"])
    state = w["initial_state"]
    for t in range(h.shape[-1]):
        state = h[..., t] = w["between.a"][..., t] * state + w["between.b"][..., t]
    assert np.allclose(h, w["between.h"], rtol=1e-5, atol=1e-6)
    assert np.allclose(w["between.h"][..., -1], w["last_state"], rtol=0, atol=0)
    assert {"du", "dA", "dinitial_state", "dout", "dlast_state", "between.g"} <= set(w)


def test_a_right_answer_is_within_its_tolerance_and_a_wrong_one_is_not(case):
    path, w = case
    given = {k: w[k] for k in ("u", "delta", "A", "B", "C", *EVERYTHING[:3]) if k in w}
    given |= {k: w[k] for k in ("initial_state",) if k in w}
    out, last = good(**given, delta_softplus="flag.delta_softplus" in w)
    for name in (f"{path}.npz", f"{path}.bin"):
        ratios = oracle.compare({"out": out, "last_state": last}, name)
        assert max(ratios.values()) <= 1
        assert oracle.compare({"out": out * np.float32(1.001)}, name)["out"] > 1
        assert oracle.compare({"out": out * np.nan}, name)["out"] == np.inf


def test_answers_may_come_back_in_a_file(case, tmp_path):
    path, w = case
    np.savez(tmp_path / "mine.npz", out=w["out"], du=w["du"])
    assert max(oracle.compare(tmp_path / "mine.npz", f"{path}.npz").values()) == 0


def test_strangers_are_refused_in_a_sentence(case, tmp_path):
    path, w = case
    with pytest.raises(InputError, match="mine is not an output"):
        oracle.compare({"mine": w["out"]}, f"{path}.npz")
    with pytest.raises(InputError, match="expected"):
        oracle.compare({"out": w["out"][..., :-1]}, f"{path}.npz")
    stranger = tmp_path / "a.bin"
    stranger.write_bytes(b"not a case of ours")
    with pytest.raises(InputError, match="is not a case"):
        read_flat(stranger)
    stranger.write_bytes(Path(f"{path}.bin").read_bytes()[:-64])
    with pytest.raises(InputError, match="cut off"):
        read_flat(stranger)
    for suffix, said in [("bin", "cannot read"), ("npz", "there is no file")]:
        with pytest.raises(InputError, match=said):
            oracle.compare({}, tmp_path / f"absent.{suffix}")
    stranger = tmp_path / "cut.npz"
    stranger.write_bytes(Path(f"{path}.npz").read_bytes()[:-64])
    with pytest.raises(InputError, match="cannot read"):
        oracle.compare({}, stranger)


@pytest.mark.parametrize(
    "entry, said",
    [
        ((b"out", b"f32", 1, 2, 0, 0, 0, 192, 8), "f32"),
        ((b"out", b"float32", 1, 3, 0, 0, 0, 192, 8), "reshape"),
        ((b"\xff", b"float32", 1, 2, 0, 0, 0, 192, 8), "utf-8"),
        ((b"out", b"float32", 1, 2, 0, 0, 0, 192, 800), "cut off"),
    ],
)
def test_a_slip_in_the_table_of_contents_is_said_with_its_entry(entry, said, tmp_path):
    path = tmp_path / "mine.bin"
    path.write_bytes(MAGIC + struct.pack("<q", 1) + ENTRY.pack(*entry) + bytes(48))
    with pytest.raises(InputError, match=f"entry 0: .*{said}"):
        read_flat(path)


@pytest.mark.parametrize(
    "more, said",
    [
        ({"dtype": "float16"}, "dtype"),
        ({"op": "scan"}, "op must be one of"),
        ({"op": "mamba_block"}, "op must be one of"),
        ({"capabilities": {"always Q"}}, "selective_scan has no 'Q'"),
    ],
)
def test_a_case_that_cannot_be_written_is_refused(more, said, tmp_path):
    with pytest.raises(InputError, match=said):
        oracle.write_case(tmp_path / "case", **more)


@pytest.mark.parametrize("op", ["recurrence", "causal_conv1d", "spectral_filter", "discretize_zoh"])
def test_other_operations_are_written_too(op, tmp_path):
    w = oracle.write_case(tmp_path / "case", op=op, dtype="float64", layout="bld")
    name = next(k for k in w if f"tolerance.{k}" in w)
    assert oracle.compare({name: w[name]}, tmp_path / "case.npz") == {name: 0.0}


def test_the_oracles_own_scan_is_the_truth_rounded_once(case):
    w = case[1]
    given = {k: w[k] for k in ("u", "delta", "A", "B", "C", *EVERYTHING) if k in w}
    out, last = oracle.selective_scan(**given, delta_softplus="flag.delta_softplus" in w)
    assert np.array_equal(out, w["out"]) and np.array_equal(last, w["last_state"])
