"""What becomes of pictures: adult places, the classifier, uploads, previews. End to end."""

import asyncio
import io

from PIL import Image

from bot.domain.safety.rules import Shown
from gpu_worker.protocol.safety import Looked
from tests.stage.visitor import finished


async def change(stage, **update):
    return await stage.studio.safety.rules.change(stage.guild_id, lambda rules: rules.model_copy(update=update))


async def eyes(stage, look):
    """A classifier that says `look(prompt, index)`: how nude a picture is, None for no word, -1 for a failure."""

    def looked(spec, index):
        nude = look(getattr(spec, "prompt", ""), index) if callable(look) else look
        return None if nude is None else Looked(by="eyes", nude=max(0.0, nude), failed=nude < 0)

    stage.painter.safety = "eyes"
    stage.painter.look = looked
    await stage.painter.announce()


async def refused(member, prompt, channel="general", **options):
    return await member.told(await member.slash(channel, "imagine", {"prompt": prompt, **options}), channel)


async def adult_channel(stage, shown=Shown.SPOILER, name="after-dark"):
    channels = frozenset({stage.channel_id(name)})
    await change(stage, adult_channels=channels, adult_shown=shown)


async def failed(member, channel="general", **options):
    """The text of the card on which a job ends without pictures."""
    started = await member.begin(channel, **options)
    return (await member.shown(started, lambda card: "⚠️" in card.text, channel)).text


def spoilers(card):
    return [item.get("spoiler", False) for part in card.components() for item in part.get("items", [])]


async def until(true, within_s=60.0):
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


def kept(stage):
    files = [path for path in stage.settings.outputs_dir.rglob("*") if path.is_file()]
    return len(stage.rows("SELECT * FROM images")), len(files)


async def test_adult_texts_only_where_an_admin_discord_and_a_classifier_allow_it(stage):
    member = await stage.visitor()
    await adult_channel(stage)
    nude = "a nude woman"
    assert "Adult content" in await refused(member, nude, "after-dark")  # nothing looks at pictures
    await eyes(stage, 0.9)
    card = await member.imagine("after-dark", prompt=nude, count=1)
    assert spoilers(card) == [True]
    for channel in ("general", "dm"):
        assert "Adult content" in await refused(member, nude, channel)
    await change(stage, adult_channels=frozenset())
    assert "Adult content" in await refused(member, nude, "after-dark")
    await adult_channel(stage)
    stage.discord.nsfw.clear()
    await stage.restart()  # the bot learns the channels anew
    await eyes(stage, 0.9)
    assert "Adult content" in await refused(member, nude, "after-dark")


async def test_threads_follow_their_channel(stage):
    member = await stage.visitor()
    owner = int(stage.playground.world.people["Admin"])
    stage.discord.create_thread(stage.channel_id("after-dark"), "Late talk", owner, broadcast=True)
    await eyes(stage, 0.9)
    await adult_channel(stage)
    card = await member.imagine("Late talk", prompt="a nude woman", count=1)
    assert spoilers(card) == [True]
    # A thread of a channel that is not age-restricted is none, whatever an admin chose.
    await change(stage, adult_channels=frozenset({stage.channel_id("studio")}))
    assert "Adult content" in await refused(member, "a nude woman", "Colour tests")


async def test_what_comes_out_nude_where_that_is_not_allowed_is_never_kept(stage):
    member = await stage.visitor()
    await eyes(stage, 0.9)
    text = await failed(member, prompt="a statue", count=2)
    assert "not kept" in text
    assert kept(stage) == (0, 0)
    assert [row["kind"] for row in stage.rows("SELECT kind FROM safety_events")] == ["withheld_adult"]
    assert stage.rows("SELECT status, failure_kind FROM jobs")[0]["failure_kind"] == "withheld"


async def test_one_of_several_is_left_out_and_said_so(stage):
    member = await stage.visitor()
    await eyes(stage, lambda _, index: 0.9 if index == 1 else 0.0)
    card = await member.imagine(prompt="a statue", count=3)
    assert len(card.media) == 2
    assert "One picture was not kept" in card.text
    assert [row["idx"] for row in stage.rows("SELECT idx FROM images ORDER BY idx")] == [0, 2]
    again = await member.drawn(await member.press(card, "vary", 1))
    assert member.spec(again)["count"] == 4


async def test_a_minor_is_named_and_a_doubt_is_enough(stage):
    member = await stage.visitor()
    await adult_channel(stage, Shown.PLAIN)
    await eyes(stage, lambda _, index: 0.3 if index == 0 else 0.0)
    text = await failed(member, "after-dark", prompt="a schoolgirl reading a book", count=4)
    assert "never allowed" in text
    assert kept(stage) == (0, 0)
    assert [row["kind"] for row in stage.rows("SELECT kind FROM safety_events")] == ["withheld_minor"]
    # Without a minor the same doubt is none.
    card = await member.imagine("after-dark", prompt="a woman reading a book", count=1)
    assert spoilers(card) == [False]


async def test_a_picture_that_was_not_looked_at_is_not_shown(stage):
    member = await stage.visitor()
    for nothing in (None, -1):
        await eyes(stage, nothing)
        assert "check that looks" in await failed(member, prompt="a hill", count=1)
    assert kept(stage) == (0, 0)
    stage.painter.safety, stage.painter.look = None, lambda spec, index: None
    await stage.painter.announce()
    assert len((await member.imagine(prompt="a hill", count=1)).media) == 1


async def test_blurred_elsewhere_and_nowhere_else_to_be_had(stage):
    member = await stage.visitor()
    await change(stage, elsewhere_shown=Shown.BLUR)
    await eyes(stage, 0.9)
    card = await member.imagine(prompt="a statue", count=1, width=256, height=256)
    data = await member.download(card.media[0])
    stored = next(path for path in stage.settings.outputs_dir.rglob("*.png"))
    assert data != stored.read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (256, 256)
        assert "parameters" not in picture.info
    await member.react(card, "✉️")
    direct = await member.wait_for_message("dm", lambda m: "may not be shown plainly" in m.text)
    assert not direct.media
    more = await member.shown(await member.press(card, "more"), lambda m: "a statue" in m.text)
    assert not more.media
    history = await member.shown(await member.slash("general", "history"), lambda m: m.media)
    with Image.open(io.BytesIO(await member.download(history.media[0]))) as tile:
        red, green, blue = tile.convert("RGB").resize((8, 8)).getpixel((6, 6))
    assert max(abs(red - 54), abs(green - 57), abs(blue - 63)) < 6  # an empty tile


async def test_an_upload_is_not_changed_in_a_sexual_way_nor_what_was_made_from_it(stage):
    member = await stage.visitor()
    await adult_channel(stage)
    await eyes(stage, 0.0)
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(out, "PNG")
    files = {"image": ("me.png", out.getvalue())}

    async def edit(prompt, **more):
        return await member.slash("after-dark", "imagine", {"prompt": prompt, "count": 1, **more}, attachments=files)

    for prompt, more in (
        ("in a bikini", {}),
        ("nude", {}),
        ("a portrait", {"negative": "clothes"}),
    ):
        await edit(prompt, **more)
        said = await member.wait_for_message("after-dark", lambda m: "somebody gave" in m.text and m.ephemeral)
        await member.delete(said)
    card = await member.drawn(await edit("a portrait"), "after-dark")
    form = await member.press(card, "edit")
    assert "somebody gave" in await member.told(await member.fill(form, {"prompt": "nude"}), "after-dark")
    await eyes(stage, 0.3)
    assert (
        "picture you gave"
        in (await member.shown(member.started(await edit("a portrait")), lambda m: "⚠️" in m.text, "after-dark")).text
    )


async def test_previews_are_wished_for_as_the_job_and_its_place_allow(stage):
    member = await stage.visitor()
    await member.imagine(prompt="a hill", count=1)
    await eyes(stage, 0.0)
    await adult_channel(stage, Shown.PLAIN)
    for channel, prompt in (("general", "a hill"), ("general", "a child on a hill"), ("after-dark", "a hill")):
        await member.imagine(channel, prompt=prompt, count=1)
    wishes = [(assign.preview.hz > 0, assign.preview.guarded) for assign in stage.painter.assigned]
    assert wishes == [(True, False), (True, True), (False, False), (True, False)]


async def test_adult_pictures_of_an_earlier_life_are_kept_and_posted(stage):
    """The next bot settles and posts before Discord has told it its channels."""
    member = await stage.visitor()
    owner = int(stage.playground.world.people["Admin"])
    thread = stage.discord.create_thread(stage.channel_id("after-dark"), "Late talk", owner, broadcast=True)
    await eyes(stage, 0.9)
    await adult_channel(stage)
    judge = stage.studio.safety.judge

    async def full(*_):
        raise OSError

    judge.judge = full  # nothing can be stored: the result stays with the worker
    for channel in ("after-dark", "Late talk"):
        await member.begin(channel, prompt="a nude woman", count=1)
    await stage.painter.asked(2)
    await until(lambda: len(stage.painter._outbox) == 2)
    await stage.restart(kill=True)
    for channel in ("after-dark", "Late talk"):
        card = await member.wait_for_message(channel, finished)
        assert spoilers(card) == [True]
    assert stage.discord.channels[thread.id].parent_id == stage.channel_id("after-dark")
    stage.fault("PATCH", r"/messages/", 503, times=9)
    await member.begin("after-dark", prompt="a nude woman, drawn", count=1)
    await until(lambda: stage.rows("SELECT 1 FROM jobs WHERE status = 'delivering'"))
    stage.faults.clear()
    await stage.restart(kill=True)
    card = await member.wait_for_message("after-dark", lambda m: finished(m) and "drawn" in m.text)
    assert spoilers(card) == [True]
