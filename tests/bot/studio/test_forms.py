"""The forms: filled from the record, within Discord's limits, read back from a raw answer."""

import time
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain import actions
from bot.domain.changes import sampler_label
from bot.domain.fields import read_fields
from bot.domain.ids import ChannelId, JobId, UserId
from bot.domain.job import Action, Job, JobStatus, Lane
from bot.domain.limits import Limits
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.studio.forms import (
    dropped_fields,
    edit_form,
    edited_wishes,
    fields_in,
    parameters_line,
    style_form,
)
from bot.ui.codec import Verb, parse
from bot.ui.forms import fields_of, shown_part
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Hires, Txt2Img


def spec(**fields):
    given = {"prompt": "a cat", "checkpoint": "dreamy, v2", "width": 512, "height": 768, "seed": 7, "sampler": "DDIM"}
    return Txt2Img(**{**given, **fields})


def job_of(spec):
    return Job(
        id=JobId("a" * 16), action=Action.IMAGINE, user_id=UserId(1), guild_id=None, channel_id=ChannelId(2),
        locale="en-US", lane=Lane.INTERACTIVE, task=spec, status=JobStatus.DELIVERED, work_units=1, attempt=1,
        crashes=0, worker=None, created_at=time.time(),
    )  # fmt: skip


TEXTS = st.text(max_size=9000) | st.text(alphabet="🍎a", max_size=9000)


@settings(deadline=None)  # the machine may be busy
@given(prompt=TEXTS, negative=TEXTS, checkpoint=st.text(min_size=1, max_size=300), locale=st.sampled_from(["en", "es"]))
def test_any_record_fits_its_forms(prompt, negative, checkpoint, locale):
    found = spec(prompt=prompt, negative_prompt=negative, checkpoint=checkpoint)
    texts = texts_for(locale)
    for form, verb in (
        (edit_form(job_of(found), found, texts), Verb.EDIT_FORM),
        (style_form(job_of(found), found, texts), Verb.STYLE_FORM),
    ):
        data = form.to_dict()
        assert parse(data["custom_id"]).verb == verb
        assert 1 <= len(data["title"]) <= 45
        assert 1 <= len(data["components"]) <= 5
        for label in data["components"]:
            assert 1 <= len(label["label"]) <= 45
            assert len(label.get("description") or "") <= 100
            inner = label["component"]
            if inner["type"] == 4:
                assert len((inner.get("value") or "").encode("utf-16-le")) // 2 <= inner["max_length"] <= 4000
            for option in inner.get("options", []):
                assert 1 <= len(option["label"]) <= 100


async def test_an_open_form_is_not_kept_in_memory():
    """discord.py would keep one per press; the answer comes through the interaction itself."""
    assert edit_form(job_of(spec()), spec(), texts_for("en")).is_finished()
    assert style_form(job_of(spec()), spec(), texts_for("en")).is_finished()


@settings(deadline=None)  # the machine may be busy
@given(TEXTS)
def test_shown_and_hidden_part_are_the_whole(text):
    shown = shown_part(text)
    assert text.startswith(shown)
    assert len(shown.encode("utf-16-le")) // 2 <= 4000
    assert shown == text or len(shown.encode("utf-16-le")) // 2 >= 3999


@settings(deadline=None)  # the machine may be busy
@given(
    st.integers(1, 150), st.floats(1, 30), st.integers(0, 2**64 - 1), st.integers(8, 256), st.integers(1, 4),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40),
)  # fmt: skip
def test_the_parameter_line_reads_back(steps, cfg, seed, eighths, count, name):
    cfg = float(f"{cfg:g}")
    made = spec(steps=steps, cfg_scale=cfg, seed=seed, width=eighths * 8, count=count, checkpoint=f"x{name}x")
    read = fields_in(parameters_line(made))
    assert read["Steps"] == str(steps)
    assert float(read["CFG scale"]) == cfg
    assert read["Seed"] == str(seed)
    assert (read["Size-1"], read["Size-2"]) == (str(eighths * 8), "768")
    assert read["Count"] == str(count)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps: 20", {"steps": "20"}),
        ("Steps: 20\nCFG scale: 5,5", {"Steps": "20", "CFG scale": "5.5"}),
        ("Steps: 20,\nSeed: 3,", {"Steps": "20", "Seed": "3"}),
        ('Model: "a, b", Size: 64x128', {"Model": "a, b", "Size-1": "64", "Size-2": "128"}),
        ("", {}),
        ("  \n ", {}),
    ],
)
def test_lines_as_people_write_them(text, expected):
    assert dict(fields_in(text)) == expected


FACTS = (ModelFact(kind="checkpoint", name="m", family="sd1", native_px=512),)


def edited(recorded, line, chosen=None):
    """What a sent form makes of a record, its texts left as they were."""
    given = edited_wishes(recorded, read_fields(fields_in(line)).parameters, chosen or sampler_label(recorded))
    return actions.edit(
        recorded, prompt=recorded.prompt, negative_prompt="", changes=given, dropped=dropped_fields(recorded, given),
        facts=FACTS, limits=Limits(), rng=Random(1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [("DPM++ 2M", "Uniform"), ("DPM++ 2M", "Automatic"), ("DDIM", "Automatic"), ("Euler a", "Exponential")],
)
def test_a_list_left_as_it_was_keeps_sampler_and_schedule(sampler, schedule):
    recorded = spec(sampler=sampler, schedule=schedule, checkpoint="m")
    assert edited(recorded, parameters_line(recorded)).spec == recorded
    typed = edited(recorded, f"{parameters_line(recorded)}, Schedule type: Beta").spec
    assert (typed.sampler, typed.schedule) == (sampler, "Beta")
    both = edited(recorded, f"{parameters_line(recorded)}, Schedule type: Beta", "Heun").spec
    assert (both.sampler, both.schedule) == ("Heun", "Beta")
    chosen = edited(recorded, parameters_line(recorded), "Euler a Karras").spec
    assert (chosen.sampler, chosen.schedule) == ("Euler a", "Karras")
    assert edited(recorded, "Sampler: LMS", "Heun").spec.sampler == "LMS"


@pytest.mark.parametrize("hires", [Hires(upscaler="Lanczos", steps=3), Hires(resize_width=1024)])
def test_a_second_pass_whose_size_is_taken_out_goes(hires):
    recorded = spec(checkpoint="m", hires=hires)
    line = parameters_line(recorded)
    assert edited(recorded, line).spec == recorded
    kept = ", ".join(part for part in line.split(", ") if not part.startswith(("Hires upscale:", "Hires resize:")))
    assert "Hires upscaler" in kept
    built = edited(recorded, kept)
    assert (built.spec.hires, built.notes) == (None, ())


@pytest.mark.parametrize("text", ["20", "hello", "steps=20"])
def test_what_is_no_parameter_is_refused(text):
    with pytest.raises(UserFacingError, match="parameters_unreadable"):
        fields_in(text)


def test_samplers_by_the_name_people_know():
    assert sampler_label(spec(sampler="DPM++ 2M", schedule="Karras")) == "DPM++ 2M Karras"
    assert sampler_label(spec(sampler="Euler a", schedule="Automatic")) == "Euler a"


def test_fields_of_a_raw_answer():
    labels = [
        {"type": 18, "component": {"type": 4, "custom_id": "prompt", "value": "a dog"}},
        {"type": 18, "component": {"type": 3, "custom_id": "sampler", "values": ["DDIM"]}},
        {"type": 18, "component": {"type": 21, "custom_id": "keep", "value": None}},
        {"type": 18, "component": {"type": 23, "custom_id": "replace", "value": True}},
        {"type": 1, "components": [{"type": 4, "custom_id": "old", "value": ""}]},
    ]
    found = fields_of(SimpleNamespace(data={"components": labels}))
    assert found == {"prompt": "a dog", "sampler": "DDIM", "keep": "", "replace": "True", "old": ""}
    assert fields_of(SimpleNamespace(data=None)) == {}
