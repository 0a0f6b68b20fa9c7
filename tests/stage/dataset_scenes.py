"""Cards of data sets for the matrix of buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.playground.person import SeenMessage
from tests.stage.captioned_sets import captioned_set
from tests.stage.datasets_given import painting
from tests.stage.visitor import verbs

if TYPE_CHECKING:
    from tests.stage.stage import Stage
    from tests.stage.visitor import StageVisitor

__all__ = ["asked", "into", "listed", "nearly", "one_picture", "removed", "shown"]

At = tuple["StageVisitor", SeenMessage]


async def shown(stage: Stage) -> At:
    """The second page of a data set with two folders."""
    member = await stage.visitor()
    dataset = await captioned_set(stage, member, [None] * 10)
    await stage.studio.datasets.kept.add_folder(dataset.id, 2, "side")
    card = await _card(member)
    await member.press(card, "dataset", 1)
    return member, await member.shown(card.id, lambda m: "Page 2" in m.text)


async def listed(stage: Stage) -> At:
    member = await stage.visitor()
    for name in ("Mina", "Lou"):
        await captioned_set(stage, member, [None], name)
    return member, await member.shown(await member.slash("general", "dataset show"))


async def one_picture(stage: Stage) -> At:
    member, card = await shown(stage)
    picture = stage.rows("SELECT id FROM dataset_images ORDER BY place DESC")[0]["id"]
    await member.pick(card, "datasetpicture", [picture])
    return member, await member.shown(card.id, lambda m: "datasetremove" in verbs(m))


async def removed(stage: Stage) -> At:
    member, page = await one_picture(stage)
    await member.press(page, "datasetremove")
    return member, await member.shown(page.id, lambda m: "datasetundo" in verbs(m))


async def nearly(stage: Stage) -> At:
    """A picture waits for a word: it nearly equals another."""
    member, _ = await shown(stage)
    for n, size in enumerate(((96, 96), (128, 128))):
        files = {"file1": (f"{n}.png", painting(1, size))}
        answer = await member.slash("general", "dataset add", {"name": "mychar"}, files)
        report = await member.shown(answer, lambda m: "added to" in m.text)
    return member, report


async def asked(stage: Stage) -> At:
    """Before it is deleted."""
    member, card = await shown(stage)
    await member.press(card, "datasetdelete")
    return member, await member.shown(card.id, lambda m: verbs(m) == ["datasetdelete", "datasetdelete"])


async def into(stage: Stage) -> At:
    """Somebody pointed at a message with two pictures."""
    member, _ = await shown(stage)
    files = {"a": ("a.png", painting(20)), "b": ("b.png", painting(21))}
    said = await member.message("general", await member.say("general", "look", files))
    assert said is not None
    return member, await member.shown(await member.context_menu(said, "Add to dataset"))


async def _card(member: StageVisitor) -> SeenMessage:
    answer = await member.slash("general", "dataset show", {"name": "mychar"})
    return await member.shown(answer, lambda m: "datasetdelete" in verbs(m))
