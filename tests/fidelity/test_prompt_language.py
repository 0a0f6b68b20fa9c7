"""The prompt grammar, the network tags, the names and the infotext, against what A1111 itself answered."""

import pytest
from reference import vectors

from gpu_worker.language.attention import parse_attention
from gpu_worker.language.infotext import build_infotext, parse_infotext, quote, unquote
from gpu_worker.language.names import resolve_sampler
from gpu_worker.language.networks import NetworkTagError, lora_refs, parse_networks


@pytest.mark.parametrize(("prompt", "expected"), vectors("prompt_attention"))
def test_attention(prompt, expected):
    if isinstance(expected, dict):  # A1111 raises; we read it literally
        assert parse_attention(prompt)
        return
    got = parse_attention(prompt)
    assert [text for text, _ in got] == [text for text, _ in expected]
    assert [weight for _, weight in got] == pytest.approx([weight for _, weight in expected], abs=1e-5)


def test_a_number_that_is_none_is_literal_text():
    assert parse_attention("(a:1..2)") == [("a:1..2", 1.1)]


@pytest.mark.parametrize(("prompt", "expected"), vectors("extra_network_parse"))
def test_network_tags(prompt, expected):
    clean, tags = parse_networks(prompt)
    got = {}
    for tag in tags:
        entry = {"items": list(tag.items), "positional": list(tag.positional), "named": tag.named}
        got.setdefault(tag.kind, []).append(entry)
    assert {"prompt": clean, "networks": got} == expected


@pytest.mark.parametrize(("prompt", "expected"), vectors("lora_multipliers"))
def test_lora_multipliers(prompt, expected):
    _, tags = parse_networks(prompt)
    if "error" in expected:
        with pytest.raises(NetworkTagError):
            lora_refs(tags)
        return
    refs = lora_refs(tags)
    assert [r.name for r in refs] == expected["names"]
    assert [r.te for r in refs] == expected["te"]
    assert [r.unet for r in refs] == expected["unet"]
    assert [r.rank for r in refs] == expected["dyn"]


# Left out: an empty name (013) and an unknown one, which A1111 turns into its first sampler and we refuse; and
# convert_automatic=False (001), a form that only its user interface needs.
@pytest.mark.parametrize(("wanted", "expected"), vectors("sampler_and_scheduler_from_name", leave_out={"001", "013"}))
def test_sampler_names(wanted, expected):
    choice = resolve_sampler(wanted["sampler"], wanted["scheduler"])
    if wanted["sampler"] == "euler a":  # case matters there, not here
        expected = ["Euler a", "Automatic"]
    assert choice is not None
    assert [choice.sampler, choice.schedule] == expected


@pytest.mark.parametrize(("value", "expected"), vectors("infotext_quote"))
def test_quote(value, expected):
    assert quote(value) == expected


@pytest.mark.parametrize(("text", "expected"), vectors("infotext_unquote"))
def test_unquote(text, expected):
    assert unquote(text) == expected


# Left out: old forms that A1111 rewrites while reading (First pass size 011, Hypernet 013). Its defaults for missing
# fields and its switches for old versions are settings of that program, not part of the text.
_DERIVED = {"Emphasis", "Old prompt editing timelines", "Pad conds v0", "Downcast alphas_cumprod"}


@pytest.mark.parametrize(("text", "expected"), vectors("infotext_parse", leave_out={"011", "013"}))
def test_parse_infotext(text, expected):
    info = parse_infotext(text)
    fields = {key: value for key, value in expected["fields"].items() if key not in _DERIVED}
    assert info.prompt == fields.pop("Prompt")
    assert info.negative_prompt == fields.pop("Negative prompt")
    assert dict(info.fields) == fields


def _fields(given):
    """The field dictionary that A1111 fills for the state in a vector."""
    extra = dict(given.get("extra_generation_params", {}))
    fields = {
        "Steps": given.get("steps", 20),
        "Sampler": given.get("sampler_name", "Euler a"),
        "CFG scale": given.get("cfg_scale", 7),
        "Seed": 1,
        "Face restoration": "CodeFormer" if given.get("restore_faces") else None,
        "Size": "512x768",
        "Model hash": "31e35c80fc",
        "Model": "sd_xl_base",
    }
    if "sd_vae_name" in given:
        fields |= {"VAE hash": "63aeecb90f", "VAE": given["sd_vae_name"]}
    if given.get("subseed_strength"):
        fields |= {"Variation seed": 5, "Variation seed strength": given["subseed_strength"]}
    if given.get("seed_resize_from_w"):
        fields["Seed resize from"] = "512x512"
    fields["Denoising strength"] = extra.pop("Denoising strength", None)
    fields["Conditional mask weight"] = 1.0 if given.get("is_using_inpainting_conditioning") else None
    fields["Clip skip"] = given.get("clip_skip")
    fields["ENSD"] = given["ensd"] if given["ensd"] and "sampler_name" not in given else None
    fields["RNG"] = given["rng"] if given["rng"] != "GPU" else None
    fields["NGMS"] = given.get("s_min_uncond")
    fields["Tiling"] = True if given.get("tiling") else None
    return fields | extra | {"Version": "v1.9.0"}


@pytest.mark.parametrize(("given", "expected"), vectors("infotext_create"))
def test_build_infotext(given, expected):
    assert build_infotext(given["prompt"], given["negative_prompt"], _fields(given)) == expected
