"""What people are told of a file: cut, cleaned, and never in the way of the scan."""

import json

import pytest

from gpu_worker.language.details import details_of
from gpu_worker.language.headers import TensorHeader


def details(counts=None, **metadata):
    return details_of(
        TensorHeader({}, {key.replace("__", "."): value for key, value in metadata.items()}, counts or {})
    )


@pytest.mark.parametrize(
    ("counts", "precision"),
    [
        ({"F16": 100}, "fp16"),
        ({"F16": 100, "I64": 900}, "fp16"),
        ({"F32": 95, "F16": 5}, "fp32"),
        ({"F16": 60, "F32": 40}, "fp16 + fp32"),
        ({"F8_E4M3": 95, "F16": 5}, "fp8"),
        ({"HalfStorage": 3}, "fp16"),
        ({"I64": 1}, None),
        ({}, None),
    ],
)
def test_precision(counts, precision):
    assert details(counts).precision == precision


def test_trigger_words_are_what_training_saw_most():
    tags = {"10_a": {"sks": 10, " red hair": 3, "hat": 4}, "5_b": {"sks": 2, "red hair": 3}}
    assert details(ss_tag_frequency=json.dumps(tags)).trigger_words == ("sks", "red hair", "hat")


def test_captions_are_counted_by_their_words():
    tags = {"1_a": {"a photograph of sks": 2, "sks walking in a park": 1}}
    assert details(ss_tag_frequency=json.dumps(tags)).trigger_words[0] == "sks"


def test_the_authors_own_phrase_goes_first():
    found = details(modelspec__trigger_phrase="sks style, ink", ss_tag_frequency=json.dumps({"a": {"other": 1}}))
    assert found.trigger_words == ("sks style", "ink")


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[1]", '{"a": 1}', '{"a": {"b": "c"}}', '{"a": {"b": 1e999}}', "[" * 100_000, '{"a": {"": 3}}'],
)
def test_odd_frequencies_give_no_words(text):
    assert details(ss_tag_frequency=text).trigger_words == ()


def test_only_a_choice_is_kept_on_one_line_and_short():
    found = details(
        ss_output_name="a\nb\u202ec", ss_network_dim="16", modelspec__title="t" * 5000, ss_dataset_dirs="{}",
        ssmd_cover_images="x" * 10_000, pincel__recipe="a + b", ss_training_comment="None",
    )  # fmt: skip
    assert found.metadata == {
        "ss_output_name": "a b c",
        "ss_network_dim": "16",
        "modelspec.title": "t" * 400,
        "pincel.recipe": "a + b",
    }
