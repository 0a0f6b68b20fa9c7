"""/usage, /doctor, /addons, /backup and /prompt-log end to end, and who may use them."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import zipfile

import pytest
from PIL import Image

from bot.studio.operations import prompt_export
from bot.studio.operations.charts import GROUND, INK, PALETTE, fold, nice_top
from tests.stage.visitor import verbs

OPERATOR_ONLY = ("doctor", "backup", "addons", "prompt-log")


@pytest.mark.parametrize("command", OPERATOR_ONLY)
async def test_only_operators_get_an_answer(make_stage, command):
    stage = await make_stage(operators=frozenset({1}))
    admin = await stage.visitor("Admin")
    assert "operador" in await admin.told(await admin.slash("general", command))


async def test_usage_shows_charts_with_words_and_tables(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await member.imagine(prompt="one", count=2)
    stage.painter.fail("oom")
    await member.begin(prompt="two")
    await stage.told()
    card = await admin.shown(await admin.slash("general", "usage"), lambda m: "usage" in verbs(m))
    assert card.ephemeral
    assert "Imágenes: 2 · trabajos: 2 · fallidos: 1" in card.text
    pictures = list(dict.fromkeys(item["media"]["url"] for item in _gallery(card)))
    assert len(pictures) == 6
    for link in pictures:
        with Image.open(io.BytesIO(await admin.download(link))) as picture:
            assert picture.size[0] == 1000
    descriptions = json.dumps([item.get("description") for item in _gallery(card)], ensure_ascii=False)
    assert "2 en total" in descriptions
    assert "sin memoria 1" in descriptions
    await admin.press(card, "usage", 7)
    week = await admin.shown(card.id, lambda m: "últimos 7 días" in m.text)
    assert "Imágenes: 2" in week.text
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET guild_id = 1")
    empty = await admin.shown(await admin.slash("general", "usage"), lambda m: "usage" in verbs(m))
    assert "Imágenes: 0 · trabajos: 0" in empty.text


def _gallery(card):
    return [item for part in card.components() if part["type"] == 12 for item in part["items"]]


async def test_the_doctor_looks_without_stopping_the_bot(stage):
    admin = await stage.visitor("Admin")
    card = await admin.shown(await admin.slash("general", "doctor"), lambda m: "examine" in verbs(m))
    for word in ("Trabajadores", "w1", "Disco", "Copias", "Complementos", "Permisos"):
        assert word in card.text, word
    await admin.press(card, "examine")
    await admin.shown(card.id, lambda m: "examine" in verbs(m))


async def test_a_backup_is_made_and_told(stage):
    admin = await stage.visitor("Admin")
    told = await admin.told(await admin.slash("general", "backup"))
    (made,) = (stage.settings.data / "backups").glob("pincel-backup-*.zip")
    assert made.name in told
    assert [row["action"] for row in stage.rows("SELECT action FROM admin_audit")] == ["backup"]
    await stage.restart()
    assert stage.studio.operations.backups.newest.path == made


async def test_a_backup_that_fails_is_told_with_its_reason(make_stage, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    stage = await make_stage(backup_folder=blocked)
    admin = await stage.visitor("Admin")
    assert "copia" in (await admin.told(await admin.slash("general", "backup"))).lower()
    assert stage.studio.operations.backups.trouble is not None
    card = await admin.shown(await admin.slash("general", "doctor"), lambda m: "examine" in verbs(m))
    assert "falló" in card.text


async def test_it_is_made_by_itself_when_it_is_time(make_stage, monkeypatch):
    from bot.studio.operations import backups as module

    monkeypatch.setattr(module, "FIRST_AFTER_S", 0.0)
    stage = await make_stage(backup_hours=0.001)
    async with asyncio.timeout(60):
        while not list((stage.settings.data / "backups").glob("pincel-backup-*.zip")):
            await asyncio.sleep(0.02)


async def exported(stage, admin, **options):
    return await admin.shown(await admin.slash("general", "prompt-log", options), lambda m: "anotada" in m.text)


async def test_the_prompt_log_is_a_file_with_filters_and_is_written_down(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    for prompt in ("=cmd()", "a blue boat", "ein blaues BOOT"):
        await member.imagine(prompt=prompt, count=1)
    card = await exported(stage, admin)
    assert "3 trabajos" in card.text
    (link,) = card.media
    rows = list(csv.DictReader(io.StringIO((await admin.download(link)).decode("utf-8-sig"))))
    assert [row["prompt"] for row in rows] == ["ein blaues BOOT", "a blue boat", "'=cmd()"]
    assert rows[0]["user_id"] == member.user_id
    card = await exported(stage, admin, format="jsonl", contains="bOO")
    lines = (await admin.download(card.media[0])).decode().splitlines()
    assert [json.loads(line)["prompt"] for line in lines] == ["ein blaues BOOT"]
    card = await exported(stage, admin, since="1h", user=admin.user_id)
    assert "0 trabajos" in card.text
    assert "fecha" in await admin.told(await admin.slash("general", "prompt-log", {"since": "yesterday"}))
    log = [row["detail"] for row in stage.rows("SELECT detail FROM admin_audit ORDER BY id")]
    assert log == ["csv", "jsonl contains=bOO", f"csv since=1h, user={admin.user_id}"]
    folder = stage.settings.data / "prompt-logs"
    async with asyncio.timeout(60):
        while list(folder.iterdir()):  # what was handed over is not kept
            await asyncio.sleep(0.02)


async def test_a_log_too_large_for_discord_stays_on_the_machine(stage, monkeypatch):
    monkeypatch.setattr(prompt_export, "MARGIN_BYTES", 10**9)
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await member.imagine(prompt="a blue boat", count=1)
    answer = await admin.slash("general", "prompt-log")
    card = await admin.wait_for_message("general", lambda m: "prompt-logs/" in m.text)
    assert answer.kind == "deferred"
    (kept,) = (stage.settings.data / "prompt-logs").iterdir()
    assert kept.name in card.text
    with gzip.open(kept, "rt", encoding="utf-8-sig") as file:
        assert next(csv.DictReader(file))["prompt"] == "a blue boat"


async def test_addons_are_listed(stage):
    admin = await stage.visitor("Admin")
    assert "ninguno instalado" in await admin.told(await admin.slash("general", "addons"))


def luminance(colour):
    parts = [value / 255 for value in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_charts_can_be_read():
    assert contrast(INK, GROUND) > 7
    assert all(contrast(colour, GROUND) >= 4.5 for colour in PALETTE)


@pytest.mark.parametrize(("highest", "top"), [(0, 1), (1, 1), (3, 4), (37, 40), (99, 100), (101, 200), (0.3, 0.4)])
def test_marks_are_round_numbers(highest, top):
    assert nice_top(highest) == pytest.approx(top)


def test_letters_that_the_font_has_not_are_folded():
    assert fold("Ñandú") == ("Nandu", [(0, "\u0303"), (4, "\u0301")])
    assert fold("日本")[0] == "??"


async def test_the_operators_usage_tells_servers_apart(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await member.imagine(prompt="one", count=1)
    card = await admin.shown(
        await admin.slash("general", "usage", {"everything": True}), lambda m: "usage" in verbs(m)
    )  # fmt: skip
    assert "todos los servidores" in card.text
    (packed,) = [url for url in card.media if "usage.zip" in url]
    with zipfile.ZipFile(io.BytesIO(await admin.download(packed))) as archive:
        rows = list(csv.reader(io.StringIO(archive.read("usage-servers.csv").decode("utf-8-sig"))))
    assert rows[1][:2] == [str(stage.guild_id), "1"]
    assert "servidor" in json.dumps([item["description"] for item in _gallery(card)])
    one = await admin.shown(
        await admin.slash("dm", "usage", {"server": str(stage.guild_id)}), lambda m: "usage" in verbs(m), channel="dm"
    )
    assert "este servidor" in one.text
    assert "Imágenes: 1" in one.text
    await admin.press(one, "usage", 7)
    await admin.shown(one.id, lambda m: "7 días" in m.text, channel="dm")
    assert "cifras" in await admin.told(await admin.slash("dm", "usage", {"server": "mine"}), channel="dm")


async def test_a_servers_admin_sees_no_other_servers_use(make_stage):
    stage = await make_stage(operators=frozenset({1}))
    admin = await stage.visitor("Admin")
    for options in ({"everything": True}, {"server": "123"}):
        assert "operador" in await admin.told(await admin.slash("general", "usage", options))


async def test_a_panel_tells_what_admins_did_lately(stage):
    admin = await stage.visitor("Admin")
    await stage.studio.operations.audit.add(stage.guild_id, int(admin.user_id), "drop", "x")
    await stage.studio.operations.audit.add(stage.guild_id, int(admin.user_id), "prompt_log", "csv")
    card = await admin.shown(await admin.slash("general", "panel"), lambda m: "queuepanel" in verbs(m))
    assert "quitó un trabajo" in card.text
    assert "registro" not in card.text, "the operator's business is no server's news"
