"""Whole models on the command line: with no weights, with a checkpoint's, with a broken file's."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from minimamba import oracle
from minimamba.errors import InputError
from minimamba.oracle.cases.models import small_weights
from minimamba.oracle.command import judge_here, read_weights
from minimamba.oracle.job import Job

from . import examples
from .mutants.kill import RIGHT, lm_weights
from .truth.test_echo import scores, scores_backward

JOB = {"op": "mamba_lm", "layout": "bdl", "framework": "numpy", "cases": 3, "budget": 5.0}


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_checkpoint_names_the_shapes(suffix, tmp_path, capsys):
    path = f"{tmp_path}/model.{suffix}"
    given = {k: v.astype(np.float32) for k, v in lm_weights(layers=1, v=5).items()}
    np.savez(path, **given) if suffix == "npz" else save_file(given, path)
    assert judge_here("tests.oracle.examples:model", Job(weights=path, **JOB)) == 0
    assert all(np.array_equal(v, given[k]) for k, v in read_weights(path).items())
    assert "dbackbone" not in capsys.readouterr().out  # no backward was given


def test_a_broken_checkpoint_is_one_sentence(tmp_path, capsys):
    path = tmp_path / "model.npz"
    np.savez(path, D=np.ones(3))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="weights: cannot read"):
        read_weights(str(path))
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="weights: cannot read"):
        read_weights(str(path))
    assert judge_here("tests.oracle.examples:model", Job(weights=str(path), **JOB)) == 2
    assert "cannot read" in capsys.readouterr().err


def test_without_weights_a_small_model_is_made():
    assert oracle.check(examples.model, **JOB).passed
    back = RIGHT.mamba_block_backward
    job = JOB | {"op": "mamba_block", "backward": back}
    report = oracle.check(RIGHT.mamba_block, **job)
    assert report.passed and not any("bias" in name for name in report.skipped)  # it has weights
    job = JOB | {"op": "echo", "backward": scores_backward, "dtypes": ("float64",)}
    assert oracle.check(scores, **job).passed
    assert set(small_weights("echo")) > {"mamba_layers.0.glu.fc2.bias", "LayerNorm.weight"}
