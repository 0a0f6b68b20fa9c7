"""/dataset: pictures come in by every way, whoever gave them is told of each that did not, and nothing stays behind."""

from __future__ import annotations

import asyncio
import io
import zipfile

import pytest
from PIL import Image

from bot.storage import datasets as kept
from bot.studio.datasets import coming, exporting
from tests.stage.captioned_sets import captioned_set
from tests.stage.datasets_given import archive, painting
from tests.stage.refusing import press, refused, unchanged
from tests.stage.visitor import verbs

pytestmark = pytest.mark.slow


async def begun(member, name="Mina", consent=True, **options):
    """Answers the form; what came of it."""
    form = await member.slash("general", "dataset create", {"name": name, "tokens": "mina", **options})
    return await member.fill(form, {"consent": consent})


async def card_of(member, name="Mina"):
    answer = await member.slash("general", "dataset show", {"name": name})
    return await member.shown(answer, lambda m: "datasetdelete" in verbs(m))


def held(stage):
    return sorted(path for path in (stage.settings.data / "inputs").glob("*/*") if path.suffix != ".webp")


async def test_a_data_set_from_its_beginning_to_its_end(stage):
    member = await stage.visitor()
    await refused(member, await begun(member, consent=False), "dataset_consent")
    assert stage.rows("SELECT 1 FROM datasets") == []
    card = await member.shown(await begun(member), lambda m: "datasetdelete" in verbs(m))
    assert "dataset add" in card.text
    assert stage.rows("SELECT consent_at FROM datasets WHERE consent_at > 0")

    # Files: one good, one nearly the same, the same once more, and what is none.
    files = {
        "file1": ("a.png", painting(1)),
        "file2": ("b.jpg", painting(1, (128, 128), "JPEG", quality=60)),
        "file3": ("c.png", painting(1)),
        "file4": ("d.png", painting(2)[:200]),
        "file5": ("e.png", painting(3, (40, 96))),
        "file6": ("notes.pdf", b"%PDF"),
    }
    answer = await member.slash("general", "dataset add", {"name": "mina"}, files)
    report = await member.shown(answer, lambda m: "datasetnear" in verbs(m))
    assert report.ephemeral
    assert "1 picture added" in report.text
    for said in ("1 was in it already", "damaged", "too small", "neither PNG", "nearly equals"):
        assert said in report.text, report.text
    assert len(held(stage)) == 2, "the good one, and the one that waits"

    # Their user keeps both; that says nothing of what comes later, of which the other card knows.
    # It comes by the form of the first card.
    later = {"files": ("later.webp", painting(1, (110, 110), "WEBP", quality=70))}
    await member.fill(await member.press(card, "datasethow"), {}, later)
    other = await member.shown(card.id, lambda m: "datasetnear" in verbs(m))
    await member.press(report, "datasetnear", 1)
    card = await member.shown(report.id, lambda m: "datasetpicture" in verbs(m))
    assert "2 pictures" in card.text
    assert "datasetnear" in verbs(card)
    await member.pick(other, "datasetnearpick", [])
    card = await member.shown(other.id, lambda m: "datasetpicture" in verbs(m))
    assert "2 pictures" in card.text
    assert "datasetnear" not in verbs(card)
    names = [row["name"] for row in stage.rows("SELECT name FROM dataset_images ORDER BY place")]
    assert names == ["a", "b"]

    # A folder of its own, by the list; one picture is moved into it, the other is taken out and brought back.
    form = await member.pick(card, "datasetfolder", ["new"])
    await member.fill(form, {"tokens": "girl", "repeats": "2", "reg": True})
    card = await member.shown(card.id, lambda m: "girl" in m.text)
    folder = stage.rows("SELECT id FROM dataset_folders WHERE is_reg = 1")[0]["id"]
    first = stage.rows("SELECT id FROM dataset_images ORDER BY place")[0]["id"]
    await member.pick(card, "datasetpicture", [first])
    page = await member.shown(card.id, lambda m: "datasetremove" in verbs(m))
    assert "mina" in page.text, "its caption is the class token"
    await member.pick(page, "datasetmove", [folder])
    card = await member.shown(card.id, lambda m: "datasetchoose" in verbs(m))
    form = await member.press(card, "datasetchoose")
    await member.fill(form, {"pictures": ["1. b"], "way": "out"})
    card = await member.shown(card.id, lambda m: "datasetundo" in verbs(m))
    await member.press(card, "datasetundo")
    card = await member.shown(card.id, lambda m: "2 pictures" in m.text and "datasetundo" not in verbs(m))

    dataset = stage.rows("SELECT id FROM datasets")[0]["id"]

    names = await member.autocomplete("general", "dataset add", "name", {"name": "min"})
    assert [row["value"] for row in names] == ["Mina"]
    places = await member.autocomplete("general", "dataset add", "folder", {"name": "Mina", "folder": ""})
    assert [row["value"] for row in places] == ["10_mina", "reg/2_girl"]

    # It leaves as kohya has it.
    sent = await member.press(card, "datasetexport")
    exported = await member.wait_for_message("general", lambda m: "kohya's trainers" in m.text)
    assert exported.ephemeral, sent
    with zipfile.ZipFile(io.BytesIO(await member.download(exported.media[0]))) as packed:
        assert sorted(packed.namelist()) == ["img/10_mina/b.jpg", "reg/2_girl/a.png"]
        assert packed.read("reg/2_girl/a.png") == painting(1)

    # And it goes with everything.
    await member.press(card, "datasetdelete")
    asked = await member.shown(card.id, lambda m: "Delete **" in m.text or "for good" in m.text)
    await member.press(asked, "datasetdelete", 1)
    await member.shown(card.id, lambda m: "is deleted" in m.text)
    assert stage.rows("SELECT 1 FROM dataset_images") == []
    assert list((stage.settings.data / "inputs").glob("*/*")) == []
    await refused(member, await press(stage, member, "dataset", dataset, 0), "dataset_gone")


async def test_a_zip_brings_folders_and_captions_and_leaves_out_what_is_none(stage):
    member = await stage.visitor()
    await member.shown(await begun(member), lambda m: "datasetdelete" in verbs(m))
    zipped = archive({
        "set/10_mina/a.png": painting(1),
        "set/10_mina/a.txt": "mina, smile\nsecond line",
        "set/5_mina side/b.webp": painting(2, (96, 96), "WEBP", quality=90),
        "set/5_mina side/b.caption": "mina, bikini, side",
        "set/reg/1_girl/c.jpg": painting(3, (96, 96), "JPEG"),
        "set/10_mina/moves.gif": moving(),
        "set/10_mina/nude child.png": painting(6),
        "set/10_mina/nude child.txt": "nude child",
        "set/2_nude child/d.png": painting(8),
        "set/2_bikini/e.png": painting(9),
        "loose.png": painting(4),
        "../evil.png": painting(5),
        "more.zip": archive({"x.png": painting(7)}),
        "alone.txt": "nobody",
        "bomb.png": b"\0" * (3 << 20),
        "__MACOSX/._a.png": b"x",
    })  # fmt: skip
    files = {"file1": ("broken.zip", zipped[:300]), "file2": ("set.zip", zipped)}
    answer = await member.slash("general", "dataset add", {"name": "Mina"}, files)
    report = await member.shown(answer, lambda m: "added to" in m.text)
    assert "4 pictures added" in report.text
    assert "1 ZIP left out" in report.text
    assert "2 with their captions" in report.text
    for said in (
        "leads out of it",
        "archive inside",
        "2 left out: what the names of their folders say",
        "no picture of that name",
        "hundred times",
        "animated",
        "allowed",
        "1 caption lost what may not be taught",
    ):
        assert said in report.text, (said, report.text)
    assert "MACOSX" not in report.text
    rows = stage.rows(
        "SELECT f.repeats, f.class_tokens, f.is_reg, p.name, p.caption FROM dataset_images p "
        "JOIN dataset_folders f ON f.id = p.folder_id ORDER BY f.is_reg, f.repeats, p.name"
    )
    assert [tuple(row) for row in rows] == [
        (5, "mina side", 0, "b", "mina, side"),
        (10, "mina", 0, "a", "mina, smile"),
        (10, "mina", 0, "loose", None),
        (1, "girl", 1, "c", None),
    ]
    assert list((stage.settings.data / "dataset-zips").iterdir()) == []

    # A bot that dies in the middle: what was taken is there, and the same zip brings the rest.
    await stage.restart(kill=True)
    more = archive({"set/10_mina/a.png": painting(1), "set/10_mina/z.png": painting(9)})
    answer = await member.slash("general", "dataset add", {"name": "Mina"}, {"file1": ("set.zip", more)})
    report = await member.shown(answer, lambda m: "added to" in m.text)
    assert "1 picture added" in report.text
    assert "1 was in it already" in report.text

    for name, data, key in (
        ("damaged.zip", zipped[:3000], "dataset_zip_broken"),
        ("none.zip", archive({"a.exe": b"MZ"}), "dataset_zip_empty"),
        ("words.zip", archive({"a.txt": "only words"}), "dataset_zip_captions"),
        ("bomb.zip", archive({"bomb.png": b"\0" * (3 << 20)}), "dataset_zip_bomb"),
    ):
        answer = await member.slash("general", "dataset add", {"name": "Mina"}, {"file1": (name, data)})
        await refused(member, answer, key)


async def test_pictures_come_from_messages_and_from_the_history(make_stage):
    stage = await make_stage(dataset_mb=1)
    member = await stage.visitor()
    drawn = await member.imagine(prompt="a red apple", seed=5, count=2)

    # Nobody has a data set yet, so the menu of a message begins one; the pictures of our own card are ours.
    form = await member.context_menu(drawn, "Add to dataset")
    stage.execute("DELETE FROM finds")
    await refused(member, await member.fill(form, {"name": "Apples", "repeats": "4", "consent": True}), "find_unknown")
    assert stage.rows("SELECT 1 FROM datasets") == []
    form = await member.context_menu(drawn, "Add to dataset")
    answer = await member.fill(form, {"name": "Apples", "repeats": "4", "consent": True})
    report = await member.wait_for_message("general", lambda m: "added to Apples" in m.text)
    assert answer.kind in ("message", "deferred")
    sources = {row["source"] for row in stage.rows("SELECT source FROM dataset_images")}
    assert sources == {f"image:{row['id']}" for row in stage.rows("SELECT id FROM images")}
    # The painter draws flat pictures, of which one looks like the other.
    await member.press(report, "datasetnear", 2)
    await member.shown(report.id, lambda m: "1 picture" in m.text)

    # Afterwards somebody is asked into which.
    said = await member.say("general", "look", {"a": ("a.png", painting(1)), "b": ("b.png", painting(2))})
    message = await member.message("general", said)
    asked = await member.shown(await member.context_menu(message, "Add to dataset"))
    dataset = stage.rows("SELECT id FROM datasets")[0]["id"]
    await member.pick(asked, "datasetinto", [dataset])
    await member.shown(asked.id, lambda m: "2 pictures added" in m.text)
    other = await stage.visitor("Moderator")
    await refused(other, await press(stage, other, "dataset", dataset), "dataset_gone")

    # The history has a button for what is open, and for what is chosen.
    gallery = await member.shown(await member.slash("general", "history", {}))
    await member.pick(gallery, "historyopen", [stage.rows("SELECT id FROM images")[0]["id"]])
    opened = await member.shown(gallery.id, lambda m: "historydataset" in verbs(m))
    asked = await member.shown(await member.press(opened, "historydataset", 2))
    await member.pick(asked, "datasetinto", [dataset])
    await member.shown(asked.id, lambda m: "already" in m.text or "nearly" in m.text)

    # In an age-restricted channel: from then on it is shown there alone.
    answer = await member.slash("after-dark", "dataset add", {"name": "Apples"}, {"file1": ("c.png", painting(3))})
    await member.shown(answer, lambda m: "age-restricted" in m.text, "after-dark")
    card = await card_of(member, "Apples")
    assert not card.media
    await refused(member, await member.press(card, "datasetexport"), "dataset_elsewhere")
    answer = await member.slash("after-dark", "dataset show", {"name": "Apples"})
    assert (await member.shown(answer, lambda m: "datasetdelete" in verbs(m), "after-dark")).media

    # A full quota is told, and nothing of it is kept.
    large = painting(8, (1000, 1000), "PNG", compress_level=0)
    answer = await member.slash("general", "dataset add", {"name": "Apples"}, {"file1": ("l.png", large)})
    await member.shown(answer, lambda m: "1 MB for data sets are used up" in m.text)
    assert not any(path.stat().st_size == len(large) for path in held(stage))

    # Whoever is forgotten leaves nothing.
    asked = await member.shown(await member.slash("general", "forget-me", {}))
    form = await member.press(asked, "forget")
    await member.fill(form, {"word": "forget me"})
    async with asyncio.timeout(60):
        while stage.rows("SELECT 1 FROM forgettings"):
            await asyncio.sleep(0.02)
    assert stage.rows("SELECT 1 FROM datasets") == stage.rows("SELECT 1 FROM dataset_images") == []
    assert list((stage.settings.data / "inputs").glob("*/*")) == []


def moving():
    frames = [Image.new("RGB", (96, 96), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


async def test_what_cannot_be_is_refused_with_the_next_step(stage, monkeypatch):
    member = await stage.visitor()

    async def said(command, options, key, files=None):
        async with unchanged(stage):
            await refused(member, await member.slash("general", f"dataset {command}", options, files), key)

    picture = {"file1": ("a.png", painting(1))}
    await said("show", {"name": "Nobody"}, "dataset_unknown")
    await said("create", {"name": "a/b"}, "dataset_name_signs")
    dataset = await captioned_set(stage, member, [None, None], "Mina")
    await said("create", {"name": "mina"}, "dataset_exists")
    await said("add", {"name": "Mina"}, "dataset_add_what")
    await said("add", {"name": "Mina", "folder": "3_x"}, "dataset_folder_unknown", picture)
    await said("folder remove", {"name": "Mina", "folder": "10_girl"}, "dataset_folder_holds")
    worst = {"name": "Mina", "repeats": 2, "tokens": "nude child"}  # of which moderators are told
    await refused(member, await member.slash("general", "dataset folder add", worst), "content_minors")
    card = await card_of(member)
    await refused(member, await press(stage, member, "datasetremove", "zzzzzzzzzzzzzzzz"), "dataset_picture_gone")
    form = await member.press(card, "datasetchoose")
    await refused(member, await member.fill(form, {"pictures": []}), "dataset_none_chosen")
    monkeypatch.setattr(coming, "ZIP_BYTES_MAX", 10)
    await said("add", {"name": "Mina"}, "dataset_zip_size", {"file1": ("a.zip", archive({"a.png": painting(1)}))})
    monkeypatch.setattr(exporting, "PARTS_MAX", 0)
    await said("export", {"name": "Mina"}, "dataset_export_large")
    monkeypatch.setattr(exporting, "REQUEST_LIMIT_BYTES", exporting.MARGIN_BYTES + 4200)
    await said("export", {"name": "Mina"}, "dataset_export_picture")
    monkeypatch.setattr(kept, "FOLDERS_MAX", 1)
    await said("folder add", {"name": "Mina", "repeats": 2}, "dataset_folders_full")
    monkeypatch.setattr(kept, "DATASETS_PER_USER", 1)
    async with unchanged(stage):
        await refused(member, await begun(member, "Lou"), "datasets_full")
    await stage.studio.datasets.kept.remove_pictures(
        dataset.id, [one.id for one in await stage.studio.datasets.kept.pictures(dataset.id)]
    )
    await said("export", {"name": "Mina"}, "dataset_empty")
