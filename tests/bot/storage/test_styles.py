"""Each user's own styles."""

from __future__ import annotations

import pytest

from bot.domain.ids import UserId
from bot.domain.styles import Style, StyleParameters
from bot.errors import UserFacingError
from bot.i18n import LANGUAGES, Texts
from bot.storage.styles import Styles

ANA, BEN = UserId(1), UserId(2)


@pytest.fixture
def styles(database) -> Styles:
    return Styles(database, limit=3)


def style(name: str, prompt: str = "{prompt}, oil", **parameters) -> Style:
    return Style(name=name, prompt=prompt, negative_prompt="blurry", parameters=StyleParameters(**parameters))


async def refused(call) -> UserFacingError:
    with pytest.raises(UserFacingError) as caught:
        await call
    for language in LANGUAGES:
        assert Texts(language)(f"error.{caught.value.key}", **caught.value.values)
    return caught.value


async def test_style_comes_back_as_it_was_saved(styles):
    saved = style("Oil Painting", steps=30, seed=2**64 - 4, sampler="Euler a")
    await styles.save(ANA, saved)
    for name in ("Oil Painting", "oil painting", "  OIL   painting "):
        assert await styles.get(ANA, name) == saved
    assert await styles.list(ANA) == [saved]
    assert await styles.names(ANA) == ["Oil Painting"]


async def test_styles_belong_to_their_user(styles):
    await styles.save(ANA, style("oil"))
    await styles.save(BEN, style("oil", "other"))
    assert (await styles.get(ANA, "oil")).prompt != (await styles.get(BEN, "oil")).prompt
    await styles.delete(BEN, "oil")
    assert await styles.names(ANA) == ["oil"]
    assert (await refused(styles.get(BEN, "oil"))).key == "style_unknown"


async def test_same_name_needs_replace(styles):
    await styles.save(ANA, style("Anime", "a"))
    error = await refused(styles.save(ANA, style("ANIME", "b")))
    assert (error.key, error.values) == ("style_exists", {"name": "Anime"})
    assert (await styles.get(ANA, "anime")).prompt == "a"
    await styles.save(ANA, style("ANIME", "b"), replace=True)
    assert await styles.names(ANA) == ["ANIME"]
    assert (await styles.get(ANA, "anime")).prompt == "b"


async def test_limit_is_per_user_and_replacing_needs_no_room(styles):
    for name in ("a", "b", "c"):
        await styles.save(ANA, style(name))
    error = await refused(styles.save(ANA, style("d")))
    assert (error.key, error.values) == ("styles_full", {"limit": 3})
    await styles.save(ANA, style("a", "new"), replace=True)
    await styles.save(BEN, style("d"))
    await styles.delete(ANA, "b")
    await styles.save(ANA, style("d"))
    assert await styles.names(ANA) == ["a", "c", "d"]


async def test_rename(styles):
    await styles.save(ANA, style("a"))
    await styles.save(ANA, style("b"))
    await styles.rename(ANA, "A", "Ä new")
    assert await styles.names(ANA) == ["b", "Ä new"]
    await styles.rename(ANA, "ä new", "Ä NEW")  # another spelling of itself
    assert (await styles.get(ANA, "ä new")).name == "Ä NEW"
    error = await refused(styles.rename(ANA, "b", "ä new"))
    assert (error.key, error.values) == ("style_exists", {"name": "Ä NEW"})
    assert (await refused(styles.rename(ANA, "nothing", "ä new"))).key == "style_unknown"


async def test_unknown_name_gets_the_closest(styles):
    await styles.save(ANA, style("watercolour"))
    await styles.save(ANA, style("comic"))
    for call in (
        styles.get(ANA, "watercolor"),
        styles.delete(ANA, "watercolor"),
        styles.rename(ANA, "watercolor", "x"),
    ):
        error = await refused(call)
        assert error.key == "style_unknown_closest"
        assert error.values == {"name": "watercolor", "closest": "watercolour"}
    assert (await refused(styles.get(ANA, "zzzz"))).key == "style_unknown"
    assert await styles.names(ANA) == ["comic", "watercolour"]


async def test_style_that_cannot_be_read_hides_no_other_and_can_be_deleted(styles, database):
    await styles.save(ANA, style("a"))
    await styles.save(ANA, style("b"))
    async with database.write() as tx:
        await tx.execute("UPDATE styles SET parameters = '{\"steps\": \"many\"}' WHERE name = 'a'")
    assert [found.name for found in await styles.list(ANA)] == ["b"]
    await styles.delete(ANA, "a")
    assert await styles.names(ANA) == ["b"]
