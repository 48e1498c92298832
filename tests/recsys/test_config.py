"""Settings and their TOML."""

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.errors import InputError
from minimamba.recsys import zoo
from minimamba.recsys.config import (
    CHOICES,
    Config,
    config_from,
    differences,
    read_config,
    to_toml,
    with_settings,
)
from minimamba.recsys.data.prepare import SPLITS
from minimamba.recsys.protocol import PROTOCOLS

from .helpers import ROOT

words = st.text(st.characters(codec="utf-8"))  # control characters too


@settings(max_examples=30)
@given(words, st.floats(0, 1e6), st.integers(1, 10**9))
def test_toml_reads_back_equal(tmp_path_factory, word, number, whole):
    tables = {"data": {"user": word}, "train": {"lr": number, "batch": whole}}
    config = config_from(tables)
    path = tmp_path_factory.getbasetemp() / "config.toml"
    path.write_text(to_toml(config))
    assert read_config(path) == config


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/results/*/config.toml")), ids=str)
def test_the_file_of_a_kept_run_is_written_again_byte_for_byte(path):
    assert to_toml(read_config(path)) == path.read_text()


def test_settings_are_typed_and_applied_in_order():
    config = with_settings(
        Config(), ["model.state=16", "train.lr=1", "model.read=ends", 'model.read="last"']
    )
    assert config.model.state == 16 and config.train.lr == 1.0
    assert isinstance(config.train.lr, float) and config.model.read == "last"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.stat=16", "model.stat is not known; did you mean 'state'?"),
        ("modle.state=16", "section 'modle' is not known; did you mean 'model'?"),
        ("model.state=many", "model.state is 'many', but a value of type int"),
        ("model.state=1.5", "a value of type int"),
        ("model.state=true", "a value of type int"),
        ("model.state=0", "model.state is 0, but it must be at least 1"),
        ("train.lr=nan", "train.lr is nan"),
        ("train.lr=inf", "train.lr is inf"),
        ("train.dropout=1.0", "must be below 1"),
        ("model.flip=flap", "model.flip is 'flap'; did you mean 'flip'?"),
        ("model.state", "section.name=value was expected"),
        ("state=16", "section.name=value was expected"),
    ],
)
def test_wrong_settings_are_one_sentence(text, message):
    with pytest.raises(InputError) as error:
        with_settings(Config(), [text])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_broken_files_are_named(tmp_path):
    path = tmp_path / "run.toml"
    with pytest.raises(InputError, match="cannot be read"):
        read_config(path)
    path.write_text("[model\n")
    with pytest.raises(InputError, match="this is not TOML"):
        read_config(path)
    path.write_text("state = 16\n")
    with pytest.raises(InputError, match="section 'state' is not known"):
        read_config(path)
    path.write_text("[model]\nwidht = 16\n")
    with pytest.raises(
        InputError, match=r"run.toml: model.widht is not known; did you mean 'width'"
    ):
        read_config(path)


def test_every_choice_has_a_function():
    assert tuple(zoo.INIT) == CHOICES["model.init"] and tuple(zoo.FLIP) == CHOICES["model.flip"]
    assert tuple(zoo.READ) == CHOICES["model.read"] and tuple(SPLITS) == CHOICES["data.split"]
    assert tuple(PROTOCOLS) == CHOICES["evaluate.protocol"]


def test_differences_name_both_values():
    other = with_settings(Config(), ["train.seed=1"])
    assert differences(Config(), other) == [("train.seed", 2020, 1)]


def test_every_setting_says_what_it_is():
    for section in fields(Config):
        assert all(known.metadata["about"] for known in fields(section.default_factory))
