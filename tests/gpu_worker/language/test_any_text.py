"""No text makes the readers raise, and what is written can be read back."""

import contextlib
import subprocess
import sys
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.language.attention import parse_attention
from gpu_worker.language.infotext import build_infotext, parse_infotext, quote, unquote
from gpu_worker.language.names import (
    BROWNIAN,
    DISCARDS,
    SAMPLER_CHOICES,
    SAMPLERS,
    SCHEDULES,
    SECOND_ORDER,
    USES_ENSD,
    effective_schedule,
    resolve_sampler,
    sampler_and_schedule,
)
from gpu_worker.language.networks import NetworkTagError, lora_refs, parse_networks

syntax = st.text(alphabet=st.sampled_from("ab ()[]:\\.0123456789+-<>lora,=|BREAK\n\"'") | st.characters(), max_size=80)


@given(syntax)
def test_attention_reads_any_text(text):
    parsed = parse_attention(text)
    assert parsed
    assert all(isinstance(weight, float) for _, weight in parsed)


@given(syntax)
def test_networks_read_any_text(text):
    clean, tags = parse_networks(text)
    assert len(clean) <= len(text)
    with contextlib.suppress(NetworkTagError):
        lora_refs(tags)


@given(syntax)
def test_infotext_and_names_read_any_text(text):
    parse_infotext(text)
    resolve_sampler(text, text)


@given(st.text())
def test_quoting_round_trips_unless_the_text_is_quoted_already(text):
    if not text.startswith('"'):
        assert unquote(quote(text)) == text


def test_deep_nesting_and_long_texts_are_quick():
    assert parse_attention("(" * 3000 + "a" + ")" * 3000)
    assert parse_attention("(a" * 1500)[-1][1] > 1.1
    parse_infotext("a" * 6000 + "\n" + "b " * 3000)


def test_infinite_weights_are_literal():
    assert parse_attention(f"(a:{'9' * 400})") == [(f"a:{'9' * 400}", 1.1)]


def test_every_choice_that_a_user_sees_is_understood():
    assert len(set(SAMPLER_CHOICES)) == len(SAMPLER_CHOICES) <= 24
    for name in (*SAMPLER_CHOICES, *SAMPLERS):
        choice = resolve_sampler(name)
        assert choice is not None
        assert choice.sampler in SAMPLERS
        assert sampler_and_schedule(name) == choice
    for sampler in SAMPLERS:
        for schedule in SCHEDULES:
            choice = resolve_sampler(sampler, schedule)
            assert choice is not None
            assert effective_schedule(*astuple(choice)) == effective_schedule(sampler, schedule)
            assert resolve_sampler(f"{sampler} {schedule}".lower()) == choice
    assert {*SECOND_ORDER, *USES_ENSD, *DISCARDS, *BROWNIAN} <= set(SAMPLERS)
    assert (len(SAMPLERS), len(SCHEDULES)) == (20, 12)
    assert {resolve_sampler(name).sampler for name in SAMPLER_CHOICES} == set(SAMPLERS)
    assert resolve_sampler("k_euler_ancestral").sampler == "Euler a"
    assert resolve_sampler("no such sampler") is None


def test_lora_kinds_and_bad_tags():
    _, tags = parse_networks("<LORA:a:0.5> <lyco:b> <foo:c> <lora:a:0.7>")
    assert [(r.name, r.te) for r in lora_refs(tags)] == [("a", 0.7), ("b", 1.0), ("a", 0.7)]
    for text in ("<lora::1>", "<lora:te=1>", "<lora:a:nan>", "<lora:a:1e99>", "<lora:a:1:1:0>"):
        with pytest.raises(NetworkTagError):
            lora_refs(parse_networks(text)[1])


def test_build_and_parse_agree():
    fields = {"Steps": 20, "Sampler": "Euler a", "Seed": 1, "Size": "64x96", "Lora hashes": "a: 1, b: 2", "None": None}
    info = parse_infotext(build_infotext("two\nlines, (a:1.2)", "bad, worse", fields))
    assert info.prompt == "two\nlines, (a:1.2)"
    assert info.negative_prompt == "bad, worse"
    assert dict(info.fields) == {
        "Steps": "20", "Sampler": "Euler a", "Seed": "1", "Size-1": "64", "Size-2": "96", "Lora hashes": "a: 1, b: 2",
    }  # fmt: skip


def test_the_package_stays_free_of_heavy_libraries():
    heavy = ("torch", "numpy", "PIL", "diffusers", "transformers", "safetensors")
    code = f"import sys\nfor n in {heavy}: sys.modules[n] = None\n"
    code += "import gpu_worker.language.models, gpu_worker.language.names, gpu_worker.language.infotext\n"
    code += "import gpu_worker.language.attention, gpu_worker.language.networks"
    subprocess.run([sys.executable, "-c", code], check=True)
