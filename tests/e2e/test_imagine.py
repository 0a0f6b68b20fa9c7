"""/imagine: a queued card at once, progress on the same message, four pictures of just what was asked for."""

import asyncio
import time

import pytest

from gpu_worker.language.infotext import parse_infotext
from tests.e2e.look import background, centre
from tests.e2e.visitor import APPLE, finished


async def test_one_message_is_queued_then_progress_then_the_result(member):
    await member.imagine(steps=1)  # the worker is up, the checkpoint loaded
    card_id = await member.begin(steps=60)
    begun = time.monotonic()
    first = await member.shown("general", card_id, lambda m: True, 5)
    assert "Queued" in first.text
    assert first.labels == ("Cancel",)
    stages, with_preview = [first.text.splitlines()[-1]], False
    card = first
    while not finished(card):
        card = await member.message("general", card_id)
        with_preview |= bool(card.media) and not finished(card)
        stages += [card.text] if card.text != stages[-1] else []
        await asyncio.sleep(0.02)
    if time.monotonic() - begun > 4:  # a fast card is done before there is anything to show
        assert any("Drawing" in text and "▰" in text for text in stages)
        assert with_preview
    assert len(card.media) == 4
    # What a screen reader says, and what nobody is pinged by.
    alts = [item["description"] for part in card.components() if part["type"] == 12 for item in part["items"]]
    assert alts == [f"Picture {n} of 4: {APPLE}" for n in (1, 2, 3, 4)]
    assert f"<@{member.user_id}>" in card.text
    assert not card.raw["mention_everyone"]


@pytest.mark.parametrize(
    ("prompt", "corners", "middle"),
    [
        (APPLE, "blue", {"red", "orange"}),
        ("a green square on a yellow background", "yellow", {"green"}),
        ("a blue circle on a red background", "red", {"blue"}),
    ],
)
async def test_pictures_show_what_the_prompt_says(member, prompt, corners, middle):
    card = await member.imagine(prompt=prompt, seed=11)
    pictures = await member.pictures(card)
    assert len(pictures) == 4
    for picture in pictures:
        assert picture.size == (128, 128)
        assert background(picture) == corners
        assert centre(picture) in middle


async def test_the_sent_files_carry_their_infotext(member):
    card = await member.imagine(
        prompt="a cat", negative="blurry, bad", steps=6, seed=77, count=2, cfg=5.5, sampler="DDIM"
    )
    for index, picture in enumerate(await member.pictures(card)):
        assert picture.format == "PNG"
        info = parse_infotext(picture.text["parameters"])
        assert (info.prompt, info.negative_prompt) == ("a cat", "blurry, bad")
        assert info.fields["Seed"] == str(77 + index)
        assert info.fields["Steps"] == "6"
        assert info.fields["Sampler"] == "DDIM"
        assert info.fields["CFG scale"] == "5.5"
    assert "seeds 77–78" in card.text
    # The files on disk are the same ones, and the database knows their hashes.
    assert [path.read_bytes() for path in member.files(card)] == [await member.download(url) for url in card.media]


async def test_options_and_flags_reach_the_picture(member):
    card = await member.imagine(prompt="a dog --ar 3:2 --steps 5", count=1, seed=-1, sampler="Euler a")
    spec = member.spec(card)
    assert spec["prompt"] == "a dog"
    assert spec["width"] > spec["height"]
    assert (spec["steps"], spec["sampler"], spec["count"]) == (5, "Euler a", 1)
    assert card.labels[:4] == ("Upscale", "Creative", "Vary", "Vary +")
    (picture,) = await member.pictures(card)
    assert picture.size == (spec["width"], spec["height"])


async def test_the_same_seed_draws_the_same_picture(member):
    first, second = [await member.imagine(prompt="a fox", seed=5, steps=6, count=1) for _ in range(2)]
    assert await member.download(first.media[0]) == await member.download(second.media[0])


async def test_in_a_direct_message(member):
    card = await member.imagine("dm", prompt="a star", steps=4, count=1)
    assert len(card.media) == 1
    again = await member.press(card, "Reroll", channel="dm")
    assert member.spec(again)["seed"] != member.spec(card)["seed"]


async def test_in_an_age_restricted_channel_and_in_a_thread(member):
    for channel in ("after-dark", "Colour tests"):
        assert (await member.imagine(channel, prompt="a star", steps=3, count=1)).media
