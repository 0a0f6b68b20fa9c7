"""Styles: A1111's rules for applying them, our rules for naming and keeping them."""

import pytest
from pydantic import ValidationError

from bot.domain.parameters import Parameters
from bot.domain.styles import (
    Style,
    StyleParameters,
    apply_style,
    apply_styles,
    check_style_name,
    extract_style,
    holds_style,
    make_style,
    style_from_spec,
    style_key,
)
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import Txt2Img

# Outputs of A1111's own modules/styles.py: merge_prompts and apply_styles_to_prompt.
MERGED = [
    ("masterpiece", "1girl", "1girl, masterpiece"),
    ("masterpiece", "", "masterpiece"),
    ("", "1girl", "1girl"),
    ("", "", ""),
    ("a, {prompt}, b", "1girl", "a, 1girl, b"),
    ("{prompt} and {prompt}", "cat", "cat and cat"),
    ("a {prompt}", "", "a "),
    ("  style  ", " prompt  ", "prompt, style"),
    ("style", "prompt,", "prompt,, style"),
    ("{Prompt}", "cat", "cat, {Prompt}"),
    ("{prompt}, \\{x\\}", "{prompt}", "{prompt}, \\{x\\}"),
    ("é, 日本", "ñ", "ñ, é, 日本"),
    ("<lora:x:1>", "cat <lora:y:1>", "cat <lora:y:1>, <lora:x:1>"),
]
APPLIED = [
    (["a", "b"], "p", "p, a, b"),
    (["{prompt}, a", "b {prompt}"], "p", "b p, a"),
    (["b {prompt}", "{prompt}, a"], "p", "b p, a"),
    (["a", "{prompt} {prompt}"], "p", "p, a p, a"),
    ([], "p", "p"),
    (["x", "x"], "", "x, x"),
]


EXTRACTED = [
    ("masterpiece", "1girl, art by greg, masterpiece", True, "1girl, art by greg"),
    ("masterpiece, {prompt}", "masterpiece, 1girl, art by greg", True, "1girl, art by greg"),
    ("masterpiece, {prompt}", "exquisite, 1girl", False, "exquisite, 1girl"),
    ("masterpiece", "masterpiece", True, ""),
    ("", "1girl", True, "1girl"),
    ("a", "1girl, aa", True, "1girl, a"),
    ("x {prompt} y", "x y", True, ""),
    ("masterpiece", "1girl masterpiece", True, "1girl "),
]


@pytest.mark.parametrize(("style", "prompt", "found", "rest"), EXTRACTED)
def test_a_style_is_found_in_a_prompt(style, prompt, found, rest):
    assert extract_style(style, prompt) == (found, rest)


def test_both_texts_of_a_style_must_be_there():
    ink = Style(name="ink", prompt="{prompt}, ink", negative_prompt="photo")
    assert holds_style(ink, "a cat, ink", "dogs, photo")
    assert not holds_style(ink, "a cat, ink", "dogs")
    assert not holds_style(Style(name="big", parameters=StyleParameters(steps=9)), "a cat", "")


@pytest.mark.parametrize(("style", "prompt", "expected"), MERGED)
def test_apply_one(style, prompt, expected):
    assert apply_style(style, prompt) == expected


@pytest.mark.parametrize(("styles", "prompt", "expected"), APPLIED)
def test_apply_many(styles, prompt, expected):
    assert apply_styles(styles, prompt) == expected


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Anime", "Anime"),
        ("  my   style ", "my style"),
        ("日本 ✨", "日本 ✨"),
        ("a\u200bb", "ab"),
        ("x" * 60, "x" * 60),
    ],
)
def test_names_as_shown(typed, shown):
    assert check_style_name(typed) == shown


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("", "style_name_empty"), ("   ", "style_name_empty"), ("\u200b", "style_name_empty"),
        ("x" * 61, "style_name_long"),
        ("@everyone", "style_name_signs"), ("<@1>", "style_name_signs"), ("a\nb", "style_name_signs"),
        ("a\x07b", "style_name_signs"), ("None", "style_name_none"), (" - ", "style_name_none"),
        ("a`b", "style_name_signs"), ("a\u202eb", "style_name_signs"),
    ],
)  # fmt: skip
def test_names_refused(typed, key):
    with pytest.raises(UserFacingError) as refusal:
        check_style_name(typed)
    assert refusal.value.key == key


def test_names_that_look_the_same_are_the_same():
    assert style_key("My  Style") == style_key("my style") == style_key("ＭＹ style")
    assert style_key("my style") != style_key("mystyle")


def test_make():
    style = make_style(" Night ", "a, {prompt}", "blurry", Parameters(steps=30, aspect="16:9"))
    assert style == Style(
        name="Night",
        prompt="a, {prompt}",
        negative_prompt="blurry",
        parameters=StyleParameters(steps=30, aspect="16:9"),
    )
    assert style.parameters.layer() == Parameters(steps=30, aspect="16:9")


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("n", "", ""), "style_empty"),
        (("n", " , ", "\u200b"), "style_empty"),
        (("n", "x" * 6001), "style_long"),
        (("n", "a", "", Parameters(steps=500)), "style_parameters"),
        (("n", "a", "", Parameters(width=510)), "style_parameters"),
        (("n", "a", "", Parameters(aspect="5:1")), "style_parameters"),
        (("n", "a", "", Parameters(seed=-1)), "style_parameters"),
    ],
)
def test_make_refuses(arguments, key):
    with pytest.raises(UserFacingError) as refusal:
        make_style(*arguments)
    assert refusal.value.key == key


def test_only_parameters_are_a_style_too():
    assert make_style("n", "", "", Parameters(steps=30)).parameters.steps == 30


def test_stored_styles_forbid_unknown_fields():
    with pytest.raises(ValidationError):
        StyleParameters.model_validate({"stepz": 3})
    with pytest.raises(ValidationError):
        Style.model_validate({"name": "n", "text": "x"})


def test_save_as_style_keeps_the_look_and_leaves_the_picture():
    spec = Txt2Img(
        prompt="cat <lora:x:1>",
        negative_prompt="bad",
        checkpoint="m",
        width=512,
        height=768,
        steps=25,
        cfg_scale=6,
        seed=5,
        count=3,
    )
    style = style_from_spec("From picture", spec)
    assert style.prompt == "cat <lora:x:1>"
    assert style.negative_prompt == "bad"
    kept = style.parameters
    assert (kept.checkpoint, kept.width, kept.height, kept.steps, kept.cfg_scale) == ("m", 512, 768, 25, 6)
    assert kept.seed is None
    assert kept.count is None
