"""ZIP exports, end to end: parts that fit, recipes inside, a bot that dies in between, and nobody else's."""

from __future__ import annotations

import asyncio
import csv
import io
import zipfile

from PIL import Image

from tests.stage.visitor import verbs


async def started(person):
    card = await person.shown(await person.slash("general", "history"))
    return await person.press(card, "historyexport")


async def packed(person, answer):
    return await person.shown(answer, lambda m: "Packed" in m.text)


def opened(data):
    return zipfile.ZipFile(io.BytesIO(data))


async def test_one_file_comes_at_once_with_recipes_and_a_list(stage):
    member = await stage.visitor()
    await member.imagine(prompt="=a red fox", count=2, seed=5)
    card = await packed(member, await started(member))
    assert card.ephemeral
    assert "2 pictures" in card.text
    with opened(await member.download(card.attachments[0]["url"])) as archive:
        names = sorted(archive.namelist())
        assert [name.split("_")[1:3] for name in names[:2]] == [["a-red-fox", "5"], ["a-red-fox", "6"]]
        with Image.open(io.BytesIO(archive.read(names[0]))) as picture:
            assert "Seed: 5" in picture.info["parameters"]
        rows = list(csv.DictReader(io.StringIO(archive.read("pictures.csv").decode())))
        assert [row["seed"] for row in rows] == ["5", "6"]
        assert rows[0]["prompt"] == "'=a red fox"
    again = await member.shown(await member.slash("general", "history"))
    assert "exportpart" in verbs(again)


async def small_parts(stage, monkeypatch, bytes_=9000):
    """As if Discord took hardly anything."""
    from bot.studio.history import exporting

    monkeypatch.setattr(exporting, "REQUEST_LIMIT_BYTES", bytes_ + exporting.MARGIN_BYTES)


async def test_parts_fit_and_are_handed_out_after_a_restart(stage, monkeypatch):
    member = await stage.visitor()
    await member.imagine(prompt="one", count=4, width=256, height=256)
    await small_parts(stage, monkeypatch)
    card = await packed(member, await started(member))
    assert not card.attachments
    parts = stage.rows("SELECT parts, part_bytes FROM exports")[0]
    assert parts["parts"] > 1
    await stage.restart()
    found = set()
    for number in range(1, parts["parts"] + 1):
        handed = await member.shown(await member.press(card, "exportpart", number), lambda m: m.attachments)
        data = await member.download(handed.attachments[0]["url"])
        assert len(data) <= parts["part_bytes"]
        with opened(data) as archive:
            found |= {name for name in archive.namelist() if name != "pictures.csv"}
    assert len(found) == 4


async def test_missing_files_are_left_out_and_said(stage):
    member = await stage.visitor()
    drawn = await member.imagine(count=2)
    (stage.settings.outputs_dir / member.images(drawn)[0]["path"]).unlink()
    card = await packed(member, await started(member))
    assert "1 picture is left out" in card.text
    (stage.settings.outputs_dir / member.images(drawn)[1]["path"]).unlink()
    failed = await member.shown(await started(member), lambda m: "could not be packed" in m.text)
    assert not failed.attachments


async def test_an_interrupted_export_goes_on(stage, monkeypatch):
    member = await stage.visitor()
    await member.imagine(count=2)
    from bot.studio.history import exporting

    hanging = asyncio.Event()
    real = exporting.Exporting._pack

    async def hang(self, export):
        await self._exports.begin(export.id)
        hanging.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(exporting.Exporting, "_pack", hang)
    answer = await started(member)
    await hanging.wait()
    assert "still being packed" in await member.told(await started(member))
    monkeypatch.setattr(exporting.Exporting, "_pack", real)
    await stage.restart(kill=True)
    await packed(member, answer)


async def test_stopping_it(stage, monkeypatch):
    member = await stage.visitor()
    await member.imagine(count=1)
    from bot.studio.history import exporting

    async def wait(self, export):
        await asyncio.Event().wait()

    monkeypatch.setattr(exporting.Exporting, "_pack", wait)
    card = await member.shown(await started(member), lambda m: "exportcancel" in verbs(m))
    await member.press(card, "exportcancel")
    await member.shown(card.id, lambda m: "Stopped" in m.text)
    assert stage.rows("SELECT state FROM exports")[0]["state"] == "cancelled"


async def test_after_the_token_it_comes_by_direct_message_and_goes_after_a_day(stage, monkeypatch):
    member = await stage.visitor()
    await member.imagine(count=1)
    stage.studio.history.exporting._edit = _never
    await started(member)
    message = await member.wait_for_message("dm", lambda m: "ready" in m.text)
    handed = await member.shown(await member.press(message, "exportpart", 1), lambda m: m.attachments, channel="dm")
    assert handed.attachments
    stage.execute("UPDATE exports SET finished_at = 1")
    await stage.studio.history.exporting.sweep()
    assert not list((stage.settings.data / "exports").iterdir())
    told = await member.told(await member.press(message, "exportpart", 1), "dm")
    assert "is over" in told


async def _never(export):
    return False
