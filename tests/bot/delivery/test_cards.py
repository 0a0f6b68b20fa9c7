"""Cards keep within Discord's limits whatever the prompt, and say what a person needs to know."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.delivery.cards import (
    Picture,
    cancelled_card,
    failed_card,
    failure_sentence,
    filename,
    progress_card,
    queued_card,
    result_card,
)
from bot.delivery.machine import MachineState
from bot.delivery.progress_state import ProgressState
from bot.dispatch.dispatcher import Standing
from bot.domain.job import Action
from bot.i18n import LANGUAGES, texts_for
from bot.storage.origins import Parent

TEXTS = st.text(max_size=6000) | st.text(alphabet="*_`|@<#>~[]()\\:/ \n-+1.", max_size=6000)
PHASES = st.text(max_size=9) | st.sampled_from(["loading", "encoding", "sampling", "hires", "saving"])
WHERE = st.none() | st.builds(
    Standing, st.integers(0, 9999), st.integers(1, 9999), st.none() | st.floats(0, 1e6), st.booleans()
)


def components(view):
    pending, found = [*view.to_components()], []
    while pending:
        item = pending.pop(0)
        found.append(item)
        pending += item.get("components", [])
        if item.get("accessory"):
            pending.append(item["accessory"])
    return found


def text_of(view):
    return "\n".join(item["content"] for item in components(view) if item["type"] == 10)


def labels(view):
    return [item.get("label") for item in components(view) if item["type"] == 2]


def assert_within_limits(view):
    """Numbers: PLATFORM limits of Components V2; four buttons a row are our own, for narrow phones."""
    found = components(view)
    assert len(found) <= 40
    assert sum(len(item["content"]) for item in found if item["type"] == 10) <= 4000
    assert all(item["content"].strip() for item in found if item["type"] == 10)
    for row in (item for item in found if item["type"] == 1):
        assert 1 <= len(row["components"]) <= 4
    buttons = [item for item in found if item["type"] == 2]
    assert all(item.get("label") or item["emoji"] for item in buttons)
    assert all(len(item.get("label") or "") <= 38 for item in buttons)
    ids = [item["custom_id"] for item in buttons]
    assert len(set(ids)) == len(ids)
    assert all(1 <= len(each) <= 100 for each in ids)
    for gallery in (item for item in found if item["type"] == 12):
        assert 1 <= len(gallery["items"]) <= 10
        assert all(1 <= len(item["description"]) <= 1024 for item in gallery["items"])


def all_cards(job, images, standing, state):
    pictures = [Picture(image, filename(job, image.index, ".png")) for image in images]
    notes = [texts_for(job.locale)("card.shrunk_jpeg"), texts_for(job.locale)("card.dm_because")]
    for machine in MachineState:
        yield queued_card(job, standing, machine)
    yield progress_card(job, state, has_preview=True)
    yield result_card(job, pictures, notes=notes, parent=Parent(99, None))
    yield result_card(job, [Picture(image, None) for image in images])
    yield failed_card(job)
    yield cancelled_card(job)


@settings(deadline=None)  # the machine may be busy
@given(
    prompt=TEXTS, locale=st.sampled_from(["en-US", "es-ES", "de"]), action=st.sampled_from(Action),
    count=st.integers(1, 4), standing=WHERE, phase=PHASES,
    step=st.integers(0, 200), checkpoint=st.text(min_size=1, max_size=200),
)  # fmt: skip
def test_any_prompt_fits_any_card(
    make_job, make_image, prompt, locale, action, count, standing, phase, step, checkpoint
):
    spec = make_job(prompt=prompt).spec.model_copy(update={"checkpoint": checkpoint, "count": count})
    job = make_job(
        spec=spec, locale=locale, action=action, failure_kind="missing_model", failure_detail={"model": checkpoint},
        reference="abcd1234",
    )  # fmt: skip
    state = ProgressState(phase, step, 100, 12.0)
    for view in all_cards(job, [make_image(n) for n in range(count)], standing, state):
        assert_within_limits(view)
        text = text_of(view)
        assert "@everyone" not in text
        assert text.count("<@") <= 2


@settings(deadline=None)  # the machine may be busy
@given(kind=st.text(max_size=20), detail=st.dictionaries(st.text(max_size=9), st.text(max_size=30), max_size=3))
def test_any_failure_has_a_sentence(make_job, kind, detail):
    for language in LANGUAGES:
        for known in (kind, "oom", "bad_input", "missing_model", "bad_model"):
            job = make_job(failure_kind=known, failure_detail=detail)
            assert failure_sentence(job, texts_for(language))


def test_where_a_waiting_job_stands(make_job):
    job = make_job()
    second = Standing(2, 5, 30.0)
    assert "position 2 of 5" in text_of(queued_card(job, second, MachineState.READY))
    assert "<t:" in text_of(queued_card(job, second, MachineState.READY))
    starting = text_of(queued_card(job, second, MachineState.STARTING))
    assert "position 2 of 5" in starting
    assert "starting" in starting
    assert "<t:" not in starting
    assert "not running" in text_of(queued_card(job, second, MachineState.AWAY))
    assert "you are next" in text_of(queued_card(job, None, MachineState.READY))
    # What is all but over would soon read "ready a second ago".
    assert "<t:" not in text_of(queued_card(job, Standing(1, 1, 2.0), MachineState.READY))
    loading = text_of(queued_card(job, Standing(1, 1, None, loading=True), MachineState.READY))
    assert f"Loading {job.model}" in loading.replace("\\", "")
    assert "next" not in loading


@pytest.mark.parametrize(("step", "expected"), [(0, "0 %"), (10, "50 %"), (19, "95 %"), (20, "100 %"), (25, "100 %")])
def test_progress_in_percent(make_job, step, expected):
    card = progress_card(make_job(), ProgressState("sampling", step, 20), has_preview=False)
    assert expected in text_of(card)
    assert labels(card) == ["Cancel"]


def test_buttons_of_one_and_of_several_pictures(make_job, make_image):
    job = make_job()
    four = result_card(job, [Picture(make_image(n), f"{n}.png") for n in range(4)])
    assert labels(four)[:8] == [f"{letter}{n}" for letter in "UV" for n in (1, 2, 3, 4)]
    assert labels(four)[8:] == ["Reroll", "Edit", "Delete", "More"]
    one = result_card(job, [Picture(make_image(0), "0.png")])
    assert labels(one)[:4] == ["Upscale", "Creative", "Vary", "Vary +"]
    assert labels(one)[-4:] == labels(four)[8:]
    assert "U = " in text_of(four)
    assert "U = " not in text_of(one)


def test_whose_picture_it_was_made_from(make_job, make_image):
    job = replace(make_job(), action=Action.VARY_STRONG)
    pictures = [Picture(make_image(0), "0.png")]
    assert "Strong variation · for <@11>" in text_of(result_card(job, pictures, parent=Parent(11, None)))
    assert "Strong variation of a picture by <@12> · for <@11>" in text_of(
        result_card(job, pictures, parent=Parent(12, None))
    )
    linked = text_of(result_card(job, pictures, parent=Parent(11, "https://discord.com/channels/1/2/3")))
    assert "for <@11> · from [this picture](https://discord.com/channels/1/2/3)" in linked


def test_parameters_read_as_people_name_them(make_job, make_image):
    spec = make_job().spec.model_copy(
        update={"sampler": "DPM++ 2M", "schedule": "Karras", "steps": 1, "cfg_scale": 5.5}
    )
    text = text_of(result_card(make_job(spec=spec), [Picture(make_image(n), f"{n}.png") for n in range(2)]))
    assert "512×512 · DPM++ 2M Karras · 1 step · CFG 5.5 · seeds 1–2 · dreamy" in text


async def test_a_sent_card_is_not_kept_in_memory(make_job, make_image):
    """discord.py keeps every unfinished view with buttons for as long as the process lives."""
    images = [make_image(0)]
    assert all(view.is_finished() for view in all_cards(make_job(), images, None, ProgressState()))


def test_the_card_counts_details(make_job):
    card = progress_card(make_job(), ProgressState("details 2/3", 5, 12), has_preview=False)
    assert "detail:** 2 of 3" in text_of(card)


def test_models_on_their_way_to_a_machine_are_a_bar(make_job):
    text = text_of(progress_card(make_job(), ProgressState("fetching", 250, 1000), has_preview=False))
    assert "models" in text
    assert "25 %" in text
