"""Building a request: layers, flags, styles, and every refusal."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.imagine import Built, ImagineOptions, build_imagine
from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.styles import Style, StyleParameters
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import SEED_MAX, Txt2Img

DEMO_DEFAULTS = {
    "sampler": "DPM++ 2M",
    "schedule": "Karras",
    "steps": 20,
    "cfg_scale": 5.0,
    "width": 128,
    "height": 128,
}
FACTS = (
    ModelFact(kind="checkpoint", name="dreamscape", family="sd1", native_px=512),
    ModelFact(kind="checkpoint", name="Broken", problem="corrupt"),
    ModelFact(kind="checkpoint", name="pincel-demo", family="sd1", native_px=128, defaults=DEMO_DEFAULTS),
    ModelFact(kind="lora", name="watercolor", family="sd1"),
    ModelFact(kind="lora", name="big one", family="sdxl"),
    ModelFact(kind="lora", name="a=b"),
    ModelFact(kind="lora", name="hurt", problem="pickled"),
)
LIMITS = Limits()


def options_of(prompt, negative=None, lora=None, picture=None, **wishes) -> ImagineOptions:
    return ImagineOptions(prompt, negative, lora, Parameters(**wishes), picture)


def build(
    prompt="a red apple", *, style=None, styles=(), facts=FACTS, user_defaults=None, server_defaults=None, **options
) -> Built:
    return build_imagine(
        options_of(prompt, **options),
        styles=[style] if style else styles,
        facts=facts,
        limits=LIMITS,
        user_defaults=user_defaults,
        server_defaults=server_defaults,
        rng=Random(1),
    )


def refused(prompt="a red apple", **options) -> UserFacingError:
    with pytest.raises(UserFacingError) as refusal:
        build(prompt, **options)
    return refusal.value


def test_a_prompt_is_enough():
    built = build()
    assert built.notes == ()
    assert built.spec == Txt2Img(
        prompt="a red apple", checkpoint="dreamscape", width=512, height=512, steps=20, cfg_scale=7, sampler="DPM++ 2M",
        schedule="Automatic", seed=Random(1).randrange(4294967294), count=4,
    )  # fmt: skip


def test_the_checkpoint_brings_its_own_defaults():
    spec = build(checkpoint="pincel-demo").spec
    assert (spec.width, spec.height, spec.cfg_scale, spec.steps) == (128, 128, 5, 20)
    assert (spec.sampler, spec.schedule) == ("DPM++ 2M", "Automatic")
    assert build(checkpoint="pincel-demo", width=256).spec.height == 128


def test_the_demo_draws_where_nothing_else_is_installed():
    assert build(facts=FACTS[1:]).spec.checkpoint == "pincel-demo"


def test_each_layer_is_over_the_one_before():
    layers = {
        "server_defaults": Parameters(steps=11, cfg_scale=1.5, count=1, clip_skip=2),
        "user_defaults": Parameters(steps=12, cfg_scale=2.5, count=2),
    }
    style = Style(name="s", prompt="oil", parameters=StyleParameters(steps=13, cfg_scale=3.5))
    spec = build("a cat --steps 15", style=style, steps=14, **layers).spec
    assert (spec.clip_skip, spec.count, spec.cfg_scale, spec.steps) == (2, 2, 3.5, 15)
    assert build("a cat", style=style, steps=14, **layers).spec.steps == 14
    assert build("a cat", style=style, **layers).spec.steps == 13
    assert build("a cat", **layers).spec.steps == 12


def test_style_and_negatives_are_joined():
    style = Style(name="s", prompt="oil painting of {prompt}", negative_prompt="photo")
    spec = build("a cat --no dogs", style=style, negative="blurry").spec
    assert spec.prompt == "oil painting of a cat"
    assert spec.negative_prompt == "blurry, dogs, photo"


def test_flags_in_a_style_are_text():
    assert build("a cat", style=Style(name="s", prompt="x --steps 9")).spec.prompt == "a cat, x --steps 9"


def test_several_styles_are_applied_in_their_order():
    ink = Style(name="ink", prompt="{prompt}, ink", negative_prompt="photo", parameters=StyleParameters(steps=9))
    hall = Style(name="hall", prompt="b {prompt}", parameters=StyleParameters(steps=11, cfg_scale=3.0))
    spec = build("a cat", styles=[ink, hall]).spec
    assert (spec.prompt, spec.negative_prompt, spec.steps, spec.cfg_scale) == ("b a cat, ink", "photo", 11, 3.0)
    assert build("a cat", styles=[hall, ink]).spec.steps == 9


def test_a_pasted_text_that_has_a_style_in_it_gets_it_once():
    ink = Style(name="ink", prompt="{prompt}, ink", negative_prompt="photo")
    text = "a cat, ink\nNegative prompt: photo\nSteps: 5, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
    built = build(text, styles=[ink])
    assert (built.spec.prompt, built.spec.negative_prompt) == ("a cat, ink", "photo")
    assert [note.values for note in built.notes if note.key == "styles_there"] == [{"names": "ink"}]
    assert build(text.replace(", ink", ""), styles=[ink]).spec.prompt == "a cat, ink"


def test_the_usual_negative_prompt_is_for_those_who_give_none():
    assert (
        build_imagine(
            ImagineOptions("a cat --no dogs", usual_negative="blurry"), facts=FACTS, limits=LIMITS, rng=Random(1)
        ).spec.negative_prompt
        == "blurry, dogs"
    )
    for options in (ImagineOptions("a cat", "", usual_negative="blurry"), ImagineOptions("a cat")):
        assert build_imagine(options, facts=FACTS, limits=LIMITS, rng=Random(1)).spec.negative_prompt == ""


def test_a_style_alone_can_be_drawn():
    assert build("--seed 4", style=Style(name="s", prompt="a castle")).spec.prompt == "a castle"


def test_aspect_flag_over_size_options():
    spec = build("a cat --ar 16:9", width=512, height=512).spec
    assert (spec.width, spec.height) == (704, 384)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sampler": "DPM++ 2M Karras"}, ("DPM++ 2M", "Automatic")),
        ({"sampler": "euler a"}, ("Euler a", "Automatic")),
        ({"sampler": "Euler a Karras"}, ("Euler a", "Karras")),
        ({"sampler": "Euler a", "schedule": "Karras"}, ("Euler a", "Karras")),
        ({"schedule": "Exponential"}, ("DPM++ 2M", "Exponential")),
        ({"sampler": "DDIM"}, ("DDIM", "Automatic")),
        ({"sampler": "Euler a Karras", "schedule": "Karras"}, ("Euler a", "Karras")),
    ],
)
def test_sampler_and_schedule(options, expected):
    spec = build(**options).spec
    assert (spec.sampler, spec.schedule) == expected


def test_a_lora_is_put_into_the_prompt_once():
    assert build(lora="watercolor").spec.prompt == "a red apple <lora:watercolor:1>"
    assert build("a <lora:watercolor:0.5> cat", lora="WaterColor").spec.prompt == "a <lora:watercolor:0.5> cat"


@pytest.mark.parametrize("seed", [0, 42, SEED_MAX - 3])
def test_a_given_seed_stays(seed):
    assert build(seed=seed).spec.seed == seed


@pytest.mark.parametrize("seed", [None, -1])
def test_a_seed_is_drawn_now(seed):
    assert build(seed=seed).spec.seed == Random(1).randrange(4294967294)


def test_a_prompt_as_long_as_discord_allows_simply_works():
    prompt = ("word " * 1200)[:6000].strip() + "x" * 1
    style = Style(name="s", prompt="y" * 6000)
    assert len(build(prompt, style=style).spec.prompt) > 11_000


def test_notes_tell_what_was_changed_or_left():
    assert [note.key for note in build("a\x07 cat").notes] == ["prompt_cleaned"]
    notes = build("a cat --v 5").notes
    assert [(note.key, note.values["flags"]) for note in notes] == [("flags_ignored", "--v")]
    assert build("a\u200b cat").notes == ()
    assert build("a\u200b cat").spec.prompt == "a cat"


@pytest.mark.parametrize(
    ("prompt", "options", "key"),
    [
        ("", {}, "prompt_empty"),
        (" \n\t ", {}, "prompt_empty"),
        ("\x00\u200b\u202e", {}, "prompt_empty"),
        ("--steps 20", {}, "prompt_empty"),
        ("", {"lora": "watercolor"}, "prompt_empty"),
        ("x" * 6001, {}, "prompt_long"),
        ("x", {"negative": "x" * 6001}, "negative_long"),
        ("x" * 6000, {"style": Style(name="s", prompt="{prompt}" * 5)}, "prompt_expanded_long"),
        ("x --steps many", {}, "flag_value"),
        ("x", {"facts": ()}, "checkpoint_none"),
        ("x", {"checkpoint": "dreemscape"}, "checkpoint_unknown"),
        ("x", {"checkpoint": "Broken"}, "checkpoint_unusable"),
        ("x", {"lora": "watercolour"}, "lora_unknown"),
        ("x", {"lora": "hurt"}, "lora_unusable"),
        ("x", {"lora": "big one"}, "lora_family"),
        ("x", {"lora": "a=b"}, "lora_unwritable"),
        ("x", {"lora": "any", "facts": FACTS[:1]}, "lora_none"),
        ("x <lora:nothing:1>", {}, "lora_unknown"),
        ("x <lora:Watercolor:1>", {}, "lora_unknown"),
        ("x <lora:watercolor:much>", {}, "lora_weight"),
        ("x", {"style": Style(name="s", prompt="<lora:nothing:1>")}, "lora_unknown"),
        ("x", {"sampler": "Oiler a"}, "sampler_unknown"),
        ("x", {"schedule": "Karas"}, "schedule_unknown"),
        ("x", {"sampler": "Euler a Karras", "schedule": "Exponential"}, "schedule_twice"),
        ("x", {"width": 510}, "size_odd"),
        ("x", {"width": 8192}, "size_too_large"),
        ("x", {"width": 8}, "size_too_small"),
        ("x", {"width": 2048, "height": 2048}, "size_area"),
        ("x", {"width": 512, "height": 512, "aspect": "1:1"}, "size_and_aspect"),
        ("x", {"aspect": "wide"}, "aspect_unreadable"),
        ("x --ar 9:1", {}, "aspect_extreme"),
        ("x", {"steps": 0}, "steps_range"),
        ("x --steps 999", {}, "steps_range"),
        ("x", {"cfg_scale": 0.5}, "cfg_scale_range"),
        ("x", {"cfg_scale": float("nan")}, "cfg_scale_range"),
        ("x", {"clip_skip": 13}, "clip_skip_range"),
        ("x", {"count": 5}, "count_range"),
        ("x", {"seed": -2}, "seed_range"),
        ("x", {"seed": SEED_MAX}, "seed_range"),
    ],
)  # fmt: skip
def test_refusals(prompt, options, key):
    assert refused(prompt, **options).key == key


def test_unknown_names_come_with_the_closest():
    assert str(refused(checkpoint="dreemscape").values["closest"]).startswith("dreamscape")
    assert str(refused("x <lora:watercolr:1>").values["closest"]).startswith("watercolor")
    assert refused("x <lora:Watercolor:1>").values["closest"] == "watercolor"
    assert "Euler a" in str(refused(sampler="Oiler a").values["closest"])


def test_an_unknown_name_is_repeated_inert():
    assert "@everyone" not in str(refused(checkpoint="@everyone **x**").values["name"])


OPTION = st.fixed_dictionaries(
    {},
    optional={
        "negative": st.text(max_size=20),
        "width": st.integers(-10, 5000),
        "height": st.integers(-10, 5000),
        "aspect": st.sampled_from(["1:1", "16:9", "9:1", "x"]),
        "steps": st.integers(-5, 500),
        "cfg_scale": st.floats(),
        "sampler": st.sampled_from(["Euler a", "DPM++ 2M Karras", "Heun", "?", ""]),
        "schedule": st.sampled_from(["Karras", "Automatic", "?", ""]),
        "clip_skip": st.integers(-1, 20),
        "seed": st.integers(-5, 2**70),
        "count": st.integers(-1, 9),
    },
)


@given(st.text(max_size=60), OPTION)
def test_any_input_gives_a_valid_request_or_a_sentence(prompt, options):
    try:
        spec = build(prompt, **options).spec
    except UserFacingError:
        return
    assert Txt2Img.model_validate(spec.model_dump()) == spec
    assert spec.seed + spec.count - 1 <= SEED_MAX
