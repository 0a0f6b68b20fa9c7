"""The content check on whole requests: what is spread over parts, what is avoided, and given pictures."""

from types import SimpleNamespace

import pytest

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, UserId, new_job_id
from bot.domain.job import Action, Image, NewJob
from bot.domain.model_rules import Where
from bot.errors import ContentRefusedError
from bot.storage.appeals import Appeals
from bot.storage.database import open_database
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.safety_events import SafetyEvents
from bot.storage.server_rules import ServerRuleBook
from bot.studio.safety.audit import SafetyLog
from bot.studio.safety.content import ContentCheck, steers_from_adults, undresses
from bot.studio.safety.origins import Origins
from bot.studio.safety.request import JobRequest
from gpu_worker.protocol.specs import Hires, ImageRef, Img2Img, Mask, StoredSource, Texts, Txt2Img, Upscale

GUILD = 10
BASE = {"checkpoint": "m", "width": 64, "height": 64, "seed": 1}
GIVEN = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=1)


def drawing(prompt, **fields):
    return Txt2Img(prompt=prompt, **(BASE | fields))


def image_ref(image_id):
    return GIVEN.model_copy(update={"ref": f"image:{image_id}"})


@pytest.fixture
async def database(tmp_path):
    opened = await open_database(tmp_path / "pincel.sqlite")
    yield opened
    await opened.close()


@pytest.fixture
async def desk(database, tmp_path):
    jobs, images = Jobs(database), Images(database, tmp_path)
    rules = ServerRuleBook(database)
    audit = SafetyLog(SimpleNamespace(), SafetyEvents(database), rules)
    place = SimpleNamespace(adult=False)
    places = SimpleNamespace(adult_allowed=lambda where: place.adult)
    check = ContentCheck(
        places=places, origins=Origins(jobs, images), rules=rules, appeals=Appeals(database), audit=audit
    )

    async def refused(task, *, adult=False):
        place.adult = adult
        request = JobRequest(UserId(1), task, Action.IMAGINE, Where(GUILD, 7, frozenset(), 1), "en-US")
        try:
            await check.require(request)
        except ContentRefusedError as error:
            return error.key.removeprefix("content_")
        return None

    async def drawn(task, image_id):
        """A finished picture of that task."""
        job_id = new_job_id()
        await jobs.add(NewJob(job_id, Action.IMAGINE, UserId(1), ChannelId(7), task, GuildId(GUILD)))
        picture = Image(
            ImageId(image_id), JobId(job_id), 0, "a.png", "0" * 64, "image/png", 64, 64, 1, 1, "", Action.IMAGINE
        )
        async with database.write() as tx:
            await images.add_in(tx, [picture])
        return image_ref(image_id)

    return SimpleNamespace(refused=refused, drawn=drawn, rules=rules, database=database)


@pytest.mark.parametrize(
    ("task", "found"),
    [
        (drawing("a schoolgirl", hires=Hires(prompt="lingerie")), "minors"),
        (drawing("lingerie <lora:schoolgirl:1>"), "minors"),
        (drawing("nude", checkpoint="loliMix_v3"), "minors"),
        (drawing("a hill", checkpoint="lolicon-xl"), "minors"),
        (drawing("a hill", checkpoint="nsfwPony"), None),
        (drawing("a schoolgirl", checkpoint="nsfwPony"), "minors"),
        (drawing("nude woman", negative_prompt="child, loli"), None),
        (drawing("nude girl", negative_prompt="adult, mature female"), "minors"),
        (drawing("nude girl", negative_prompt="over 18"), "minors"),
        (drawing("a girl in a park", negative_prompt="adult"), None),
        (drawing("x", count=2, texts=(Texts(prompt="a child"), Texts(prompt="a woman in a bikini"))), None),
        (drawing("x", count=2, texts=(Texts(prompt="a child"), Texts(prompt="a child in a bikini"))), "minors"),
    ],
)
async def test_what_is_spread_over_a_request_is_read_as_one(desk, task, found):
    assert await desk.refused(task, adult=True) == found


async def test_a_checkpoints_own_name_asks_for_nothing_adult(desk):
    assert await desk.refused(drawing("a hill", checkpoint="nsfwPony")) is None
    assert await desk.refused(drawing("nude woman")) == "adult"


async def test_nothing_sexual_around_pictures_that_were_given(desk):
    edit = Img2Img(prompt="in a bikini", image=GIVEN, **BASE)
    assert await desk.refused(edit, adult=True) == "upload"
    assert await desk.refused(edit.model_copy(update={"prompt": "in a coat"}), adult=True) is None
    naked = edit.model_copy(update={"prompt": "a portrait", "negative_prompt": "clothes, blurry"})
    assert await desk.refused(naked, adult=True) == "upload"
    assert await desk.refused(Upscale(image=GIVEN), adult=True) is None


async def test_nor_around_what_was_made_from_them_however_many_steps_later(desk):
    first = await desk.drawn(Img2Img(prompt="a portrait", image=GIVEN, **BASE), "first")
    second = await desk.drawn(drawing("a portrait", hires=Hires(source=StoredSource(image=first))), "second")
    third = await desk.drawn(Img2Img(prompt="a portrait", image=second, **BASE), "third")
    for ref in (first, second, third):
        assert await desk.refused(Img2Img(prompt="nude", image=ref, **BASE), adult=True) == "upload"
    assert await desk.refused(Img2Img(prompt="nude", image=image_ref("gone"), **BASE), adult=True) == "upload"


async def test_own_pictures_may_be_changed_and_a_mask_is_no_picture(desk):
    own = await desk.drawn(drawing("a woman"), "own")
    edit = Img2Img(prompt="nude", image=own, mask=Mask(image=GIVEN), **BASE)
    assert await desk.refused(edit, adult=True) is None


async def test_a_servers_words_count_where_adult_content_is_allowed_too(desk):
    await desk.rules.change(GUILD, lambda rules: rules.model_copy(update={"words": ("gun",)}))
    assert await desk.refused(drawing("a nude woman with a gun"), adult=True) == "words"
    assert await desk.refused(drawing("a nude woman with a gun")) == "adult"
    await desk.rules.change(0, lambda rules: rules.model_copy(update={"words": ("cat",)}))
    assert await desk.refused(drawing("a cat")) == "words"


async def test_no_refused_text_reaches_the_record(desk):
    for prompt in ("a nude child", "nude woman"):
        await desk.refused(drawing(prompt))
    rows = await desk.database.all("SELECT * FROM safety_events")
    assert len(rows) == 2
    assert not any("nude" in str(value) for row in rows for value in tuple(row))
    assert await desk.database.all("SELECT * FROM appeals") == []  # no audit channel, so nothing to appeal to


@pytest.mark.parametrize("text", ["adult", "mature woman, blurry", "of age", "18+ , over 18", "adultos", "grown-up"])
def test_avoiding_adults_is_seen(text):
    assert steers_from_adults(text)


@pytest.mark.parametrize("text", ["old, ugly, bad hands", "child, loli", "premature", "adulterated", "armature"])
def test_avoiding_other_things_is_no_matter(text):
    assert not steers_from_adults(text)


def test_avoiding_clothes_is_seen():
    assert undresses("clothes, bad hands")
    assert undresses("ropa")
    assert not undresses("bad hands, underwear, clothespin")
