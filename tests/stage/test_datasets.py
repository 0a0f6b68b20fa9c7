"""/dataset: pictures come in by every way, whoever gave them is told of each that did not, and nothing stays behind."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.stage.datasets_given import archive, painting
from tests.stage.refusing import refused
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

    # Their user keeps both.
    await member.press(report, "datasetnear", 1)
    card = await member.shown(report.id, lambda m: "datasetpicture" in verbs(m))
    assert "2 pictures" in card.text
    names = [row["name"] for row in stage.rows("SELECT name FROM dataset_images ORDER BY place")]
    assert names == ["a", "b"]

    # A folder of its own, by the list; one picture is moved into it, the other is taken out and brought back.
    form = await member.pick(card, "datasetfolder", ["new"])
    await member.fill(form, {"tokens": "girl", "repeats": "2", "reg": True})
    card = await member.shown(card.id, lambda m: "2_girl" in m.text)
    folder = stage.rows("SELECT id FROM dataset_folders WHERE is_reg = 1")[0]["id"]
    first, second = (row["id"] for row in stage.rows("SELECT id FROM dataset_images ORDER BY place"))
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

    # It leaves as kohya has it.
    sent = await member.press(card, "datasetexport")
    exported = await member.wait_for_message("general", lambda m: "Part 1 of 1" in m.text)
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
    await refused(member, await member.press(card, "dataset"), "dataset_gone")
