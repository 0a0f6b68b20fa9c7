"""Scripts from the command to the grid: offered, drawn cell by cell, cancelled, killed, handed out."""

from __future__ import annotations

import asyncio
import io
import time

import pytest
from PIL import Image

from bot.domain.safety.limits import PLAIN, Limit
from bot.i18n import load_language
from bot.storage.usage import read_usage
from bot.studio.scripts import grids
from bot.studio.scripts.composing import filling
from bot.studio.scripts.grids import Grids
from bot.studio.scripts.offering import Scripting
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import Sheet
from tests.stage.matrix import Trouble
from tests.stage.refusing import press, refused, unchanged
from tests.stage.test_safety import adult_channel, eyes, spoilers
from tests.stage.visitor import finished, verbs

PROMPT = "a street|in the rain|at night"
MANY = "a|b|c|d|e|f"
"""32 pictures, in four sheets."""


async def asked(member, prompt: str = PROMPT, **options):
    return await member.slash("general", "matrix", {"prompt": prompt, "width": 64, "height": 64, **options})


async def begun(member, prompt: str = PROMPT, **options):
    offer = await member.shown(await asked(member, prompt, **options))
    return await member.press(offer, "scriptdraw")


async def grid(member, prompt: str = PROMPT, **options):
    return await member.drawn(await begun(member, prompt, **options))


def drawn_cells(stage):
    return [cell for spec in stage.painter.specs if isinstance(spec, Sheet) for cell in spec.cells]


def script(stage):
    (row,) = stage.rows("SELECT * FROM jobs WHERE lane = 'script'")
    return row


def one(stage, sql, *values):
    return stage.rows(sql, *values)[0][0]


def colours(stage, image):
    with Image.open(stage.settings.outputs_dir / image["path"]) as picture:
        return {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}


# --- the way ----------------------------------------------------------------------------------------------------------


async def test_a_matrix_is_shown_with_its_cost_and_drawn_as_one_grid(stage):
    member = await stage.visitor()
    offer = await member.shown(await asked(member, seed=5, different_seeds=True))
    assert offer.ephemeral
    assert "4 pictures: 2 by 2" in offer.text
    assert stage.painter.assigned == []
    card = await member.drawn(await member.press(offer, "scriptdraw"))
    assert [cell.prompt for cell in drawn_cells(stage)] == [
        "a street", "a street, in the rain", "a street, at night", "a street, in the rain, at night",
    ]  # fmt: skip
    assert [cell.seed for cell in drawn_cells(stage)] == [5, 6, 7, 8]
    assert "4 pictures" in card.text
    (image,) = member.images(card)
    read = parse_infotext(image["infotext"])
    assert (read.prompt, read.fields["Script"]) == ("a street", "Prompt matrix")
    data = await member.download(card.media[0])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.info["parameters"] == image["infotext"]
    cells = stage.rows("SELECT path FROM images WHERE job_id != ?", image["job_id"])
    assert {colour for cell in cells for colour in colours(stage, cell)} <= colours(stage, image)
    assert one(stage, "SELECT count(*) FROM images") == 5
    assert one(stage, "SELECT count(*) FROM jobs WHERE message_id IS NOT NULL") == 1


async def test_options_of_the_matrix_are_those_of_the_script(stage):
    member = await stage.visitor()
    await grid(member, "a cat --steps 7", negative="low|ugly", vary="negative", delimiter="space", at_start=True,
               different_seeds=True, seed=3, lora="inkwash")  # fmt: skip
    cells = drawn_cells(stage)
    assert [cell.negative_prompt for cell in cells] == ["low", "ugly low"]
    assert [cell.seed for cell in cells] == [3, 4]
    assert {(cell.prompt, cell.steps) for cell in cells} == {("a cat <lora:inkwash:1>", 7)}


async def test_styles_and_loras_stand_around_every_combination(stage):
    member = await stage.visitor()
    await member.told(await member.slash("general", "style save", {"name": "neon", "prompt": "neon {prompt}, glowing"}))
    await grid(member, "a cat|sleeping", style="neon", lora="inkwash")
    assert [cell.prompt for cell in drawn_cells(stage)] == [
        "neon a cat, glowing <lora:inkwash:1>", "neon a cat, sleeping, glowing <lora:inkwash:1>",
    ]  # fmt: skip


async def test_a_dynamic_prompt_is_drawn_once_for_all_cells(stage):
    member = await stage.visitor()
    await grid(member, "a {cat|dog}|sleeping")
    first, second = drawn_cells(stage)
    assert first.prompt in ("a cat", "a dog")
    assert second.prompt == f"{first.prompt}, sleeping"


async def test_a_picked_cell_has_everything_that_a_picture_has(stage):
    member = await stage.visitor()
    card = await grid(member)
    cell = await member.shown(await member.pick(card, "scriptcell", ["2"]), finished)
    assert not cell.ephemeral
    assert "a street, at night" in cell.text
    assert {"upscale", "vary", "reroll", "edit", "more", "delete"} <= set(verbs(cell))
    varied = await member.drawn(await member.press(cell, "vary", 1))
    assert member.spec(varied)["prompt"] == "a street, at night"
    assert member.job(varied)["parent_id"] == member.job(cell)["id"]
    again = await member.drawn(await member.press(cell, "reroll"))
    assert member.spec(again)["prompt"] == "a street, at night"


async def test_more_cells_than_a_list_takes_are_listed_in_parts(stage):
    member = await stage.visitor()
    card = await grid(member, MANY)
    part = await member.shown(await member.pick(card, "scriptcells", ["25"]))
    assert part.ephemeral
    cell = await member.shown(await member.pick(part, "scriptcell", ["31"]), finished)
    assert "a, b, c, d, e, f" in cell.text


async def test_a_script_again_is_offered_again_with_another_seed(stage):
    member = await stage.visitor()
    card = await grid(member, seed=5)
    offer = await member.shown(await member.press(card, "reroll"))
    assert "4 pictures" in offer.text
    await member.drawn(await member.press(offer, "scriptdraw"))
    seeds = [cell.seed for cell in drawn_cells(stage)]
    assert len(set(seeds[:4])) == len(set(seeds[4:])) == 1
    assert seeds[0] != seeds[4]


async def test_a_private_script_is_its_users_alone_and_so_are_its_cells(stage):
    member = await stage.visitor()
    card = await grid(member, "a street|at night --private")
    assert card.ephemeral
    cell = await member.shown(await member.pick(card, "scriptcell", ["1"]), finished)
    assert cell.ephemeral
    assert {row["private"] for row in stage.rows("SELECT private FROM jobs")} == {1}
    stranger = await stage.visitor("Stranger")
    await refused(stranger, await press(stage, stranger, "scriptcell", script(stage)["id"], values=("1",)),
                  "not_your_picture")  # fmt: skip


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_ten_thousand_cells_are_refused_by_arithmetic(stage):
    member = await stage.visitor()
    async with unchanged(stage):
        text = await refused(member, await asked(member, "|".join("abcdefghijklmno")), "script_too_many")
        assert "16384" in text
        await refused(member, await asked(member, "a" + "|" * 5000), "script_too_many")
        await refused(member, await asked(member, "just one"), "matrix_no_parts")
        await refused(member, await asked(member, "a|b", vary="negative", negative="low"), "matrix_no_negative_parts")


async def test_every_combination_is_judged_before_anything_is_stored(stage):
    member = await stage.visitor()
    answer = await asked(member, "a portrait|a nude woman")
    await refused(member, answer, "content_adult")
    assert stage.rows("SELECT 1 FROM jobs") == stage.rows("SELECT 1 FROM script_offers") == []


async def test_an_offer_is_drawn_once_by_whom_it_was_made_to(stage):
    member = await stage.visitor()
    offer = await member.shown(await asked(member))
    stranger = await stage.visitor("Stranger")
    id_ = one(stage, "SELECT id FROM script_offers")
    await refused(stranger, await press(stage, stranger, "scriptdraw", id_), "script_offer_unknown")
    await member.drawn(await member.press(offer, "scriptdraw"))
    async with unchanged(stage):
        await refused(member, await member.press(offer, "scriptdraw"), "script_drawn")
    await asyncio.to_thread(stage.execute, "UPDATE script_offers SET created_at = 0")
    await refused(member, await member.press(offer, "scriptdraw"), "script_offer_unknown")


async def test_a_cell_that_is_gone_is_said_to_be(stage):
    member = await stage.visitor()
    await grid(member)
    id_ = script(stage)["id"]
    await refused(member, await press(stage, member, "scriptcell", id_, values=("9",)), "cell_gone")
    await refused(member, await press(stage, member, "scriptcells", id_, values=("999",)), "cell_gone")
    cell = one(stage, "SELECT path FROM images JOIN jobs ON jobs.id = job_id WHERE place = 1")
    await asyncio.to_thread((stage.settings.outputs_dir / cell).unlink)
    await refused(member, await press(stage, member, "scriptcell", id_, values=("1",)), "cell_file_gone")


async def test_all_cells_count_against_the_quota_at_once(stage):
    member = await stage.visitor()
    limits = {PLAIN: {Limit.PICTURES: 3}}
    await stage.studio.safety.rules.change(stage.guild_id, lambda rules: rules.model_copy(update={"limits": limits}))
    offer = await member.shown(await asked(member))
    assert "3 pictures left" in offer.text
    await refused(member, await member.press(offer, "scriptdraw"), "limit_pictures_never")
    assert stage.rows("SELECT 1 FROM jobs") == []


# --- what goes wrong --------------------------------------------------------------------------------------------------


async def test_what_cannot_be_drawn_is_black_and_the_rest_is_there(stage):
    member = await stage.visitor()
    stage.painter.lacks = lambda cell: "oom" if "rain" in cell.prompt else None
    card = await grid(member)
    assert "2 could not be drawn" in card.text
    assert len(stage.rows("SELECT 1 FROM jobs WHERE place IS NOT NULL")) == 2
    (image,) = member.images(card)
    assert (0, 0, 0) in colours(stage, image)
    await refused(member, await press(stage, member, "scriptcell", script(stage)["id"], values=("1",)), "cell_gone")


async def test_where_nothing_can_be_drawn_the_script_says_why(stage):
    member = await stage.visitor()
    stage.painter.fail("missing_model", lora="ink")
    answer = await begun(member)
    card = await member.shown(answer.message_id, lambda m: "retry" in verbs(m))
    assert "ink" in card.text
    assert (script(stage)["status"], script(stage)["failure_kind"]) == ("failed", "missing_model")
    offer = await member.shown(await member.press(card, "retry"))
    await member.drawn(await member.press(offer, "scriptdraw"))


async def test_a_cancel_keeps_what_is_drawn(stage):
    member = await stage.visitor()
    stage.painter.hold()
    answer = await begun(member, MANY)
    await stage.painter.asked(1)
    await stage.painter.step()
    await stage.painter.asked(2)
    waiting = await member.shown(answer.message_id, lambda m: "cancel" in verbs(m))
    await member.press(waiting, "cancel")
    card = await member.shown(answer.message_id, finished)
    assert "after 8 of 32" in card.text
    statuses = [row[0] for row in stage.rows("SELECT status FROM jobs WHERE place IS NULL AND script_id IS NOT NULL")]
    assert sorted(statuses) == ["cancelled", "cancelled", "cancelled", "delivered"]
    assert len(stage.painter.assigned) == 2
    cell = await member.shown(await member.pick(card, "scriptcell", ["7"]), finished)
    assert cell.media


async def test_it_waits_for_its_turn_no_longer_once_its_first_cells_are_drawn(stage):
    member = await stage.visitor()
    stage.painter.hold()
    other = await member.begin(prompt="a boat", count=1)
    await stage.painter.asked(1)
    answer = await begun(member, MANY)
    await member.shown(answer.message_id, lambda m: "Waits for its turn: 32 pictures" in m.text)
    await stage.painter.step()
    await member.shown(other, finished)
    await stage.painter.asked(2)
    await member.shown(answer.message_id, lambda m: "0 of 32" in m.text and "Waits" not in m.text)


async def test_a_cancel_before_anything_is_drawn_leaves_nothing(stage):
    member = await stage.visitor()
    stage.painter.hold()
    answer = await begun(member)
    await stage.painter.asked(1)
    waiting = await member.shown(answer.message_id, lambda m: "cancel" in verbs(m))
    await member.press(waiting, "cancel")
    await member.shown(answer.message_id, lambda m: "retry" in verbs(m))
    assert script(stage)["status"] == "cancelled"
    assert stage.rows("SELECT 1 FROM images") == []


async def test_the_whole_queue_shows_a_script_as_one_job_and_ends_it_as_one(stage):
    member = await stage.visitor()
    stage.painter.hold()
    await begun(member, MANY)
    await stage.painter.asked(1)
    queue = await member.shown(await member.slash("general", "queue"))
    assert verbs(queue).count("cancel") == 1
    assert "0 of 32" in queue.text
    await member.slash("general", "cancel")
    await stage.told()
    assert script(stage)["status"] == "cancelled"


async def test_a_cell_that_may_not_be_kept_is_black_and_the_grid_is_as_the_rest(stage):
    member = await stage.visitor()
    await eyes(stage, lambda _, index: 0.9 if index == 1 else 0.0)
    card = await grid(member)
    assert "One could not be drawn" in card.text or "1 could not be drawn" in card.text
    assert spoilers(card) == [False]
    assert one(stage, "SELECT count(*) FROM jobs WHERE place IS NOT NULL") == 3
    assert [row["kind"] for row in stage.rows("SELECT kind FROM safety_events")] == ["withheld_adult"]


async def test_a_grid_is_veiled_as_its_cells_are(stage):
    member = await stage.visitor()
    await adult_channel(stage)
    await eyes(stage, lambda _, index: 0.9 if index == 1 else 0.0)
    options = {"prompt": PROMPT, "width": 64, "height": 64}
    offer = await member.shown(await member.slash("after-dark", "matrix", options), channel="after-dark")
    card = await member.drawn(await member.press(offer, "scriptdraw"), channel="after-dark")
    assert spoilers(card) == [True]


async def test_a_script_that_is_deleted_while_it_is_drawn_ends(stage):
    member = await stage.visitor()
    stage.painter.hold()
    answer = await begun(member, MANY)
    await stage.painter.asked(1)
    await stage.painter.step()
    await stage.painter.asked(2)
    card = await member.shown(answer.message_id, lambda m: "cancel" in verbs(m))
    await member.react(card, "❌")
    await member.gone(card)
    await stage.told()
    assert script(stage)["status"] == "cancelled"
    assert stage.rows("SELECT 1 FROM images WHERE deleted_at IS NULL") == []


@pytest.mark.slow
async def test_the_grid_fills_on_its_card(stage):
    member = await stage.visitor()
    stage.painter.hold()
    answer = await begun(member, MANY, different_seeds=True)
    await stage.painter.asked(1)
    await stage.painter.step()
    card = await member.shown(answer.message_id, lambda m: bool(m.media) and "cancel" in verbs(m))
    assert "8 of 32" in card.text
    with Image.open(io.BytesIO(await member.download(card.media[0]))) as picture:
        assert picture.format == "WEBP"
        assert len({picture.convert("RGB").getpixel((x * picture.width // 8 + 9, 9)) for x in range(8)}) > 6
    stage.painter.release()
    await member.shown(answer.message_id, finished)


async def test_a_grid_that_fills_is_put_together_once_for_each_change(stage, monkeypatch):
    made = []
    monkeypatch.setattr(grids, "filling", lambda *given: made.append(len(given[1])) or filling(*given))
    member = await stage.visitor()
    stage.painter.hold()
    await begun(member, MANY)
    await stage.painter.asked(1)
    await stage.painter.step()
    await stage.painter.asked(2)
    job = await stage.studio.jobs.get(script(stage)["id"])
    first = await stage.studio.scripts.runner._grids.card(job, False)
    assert made[0] == 8
    made.clear()
    again = await stage.studio.scripts.runner._grids.card(job, False)
    assert first[0] == again[0]
    assert made == []


async def test_whoever_sees_a_published_grid_may_pick_from_it(stage):
    member, stranger = await stage.visitor(), await stage.visitor("Stranger")
    card = await grid(member, "a street|at night --private")
    await member.press(card, "publish")
    await member.shown(card.id, lambda m: not m.media)
    public = await stranger.wait_for_message("general", lambda m: finished(m) and not m.ephemeral)
    cell = await stranger.shown(await stranger.pick(public, "scriptcell", ["1"]), finished)
    assert not cell.ephemeral
    assert "publish" not in verbs(cell)


# --- deaths -----------------------------------------------------------------------------------------------------------


async def test_killed_between_two_sheets_it_goes_on_from_the_table(stage):
    member = await stage.visitor()
    stage.painter.hold()
    answer = await begun(member, MANY)
    await stage.painter.asked(1)
    await stage.painter.step()
    await stage.painter.asked(2)
    await stage.restart(kill=True)
    stage.painter.release()
    card = await member.shown(answer.message_id, finished)
    assert one(stage, "SELECT count(*) FROM jobs WHERE place IS NOT NULL") == 32
    assert len(member.images(card)) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_while_its_grid_is_put_together_it_posts_one(stage, monkeypatch, moment):
    member = await stage.visitor()
    reached = asyncio.Event()
    finish = Grids.finished

    async def stuck(self, job):
        made = await finish(self, job) if moment == "after" else None
        reached.set()
        await asyncio.Event().wait()
        return made

    monkeypatch.setattr(Grids, "finished", stuck)
    answer = await begun(member)
    async with asyncio.timeout(60):
        await reached.wait()
    monkeypatch.setattr(Grids, "finished", finish)
    await stage.restart(kill=True)
    await member.shown(answer.message_id, finished)
    await stage.told()
    assert len([m for m in await member.messages("general") if finished(m)]) == 1
    assert one(stage, "SELECT count(*) FROM images WHERE job_id = ?", script(stage)["id"]) == 1
    assert script(stage)["status"] == "delivered"


async def test_a_damaged_cell_is_black_and_keeps_no_grid_from_its_end(stage):
    member = await stage.visitor()
    stage.painter.hold()
    answer = await begun(member, MANY)
    await stage.painter.asked(1)
    await stage.painter.step()
    await stage.painter.asked(2)
    cell = one(stage, "SELECT path FROM images ORDER BY rowid LIMIT 1")
    await asyncio.to_thread((stage.settings.outputs_dir / cell).write_bytes, b"\x89PNG of a failing disk")
    stage.painter.release()
    card = await member.shown(answer.message_id, finished)
    (image,) = member.images(card)
    assert (0, 0, 0) in colours(stage, image)


async def test_killed_in_the_middle_of_a_cancel_it_is_completed(stage):
    member = await stage.visitor()
    stage.painter.hold()
    answer = await begun(member, MANY)
    await stage.painter.asked(1)
    await stage.stop_bot(kill=True)
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET cancel_by = user_id WHERE lane = 'script'")
    await stage.start_bot()
    stage.painter.release()
    await member.shown(answer.message_id, lambda m: "retry" in verbs(m) or finished(m))
    await stage.told()
    assert len(stage.painter.assigned) <= 2
    assert script(stage)["status"] in ("cancelled", "delivered")


async def test_killed_between_its_press_and_its_commit_an_offer_can_be_drawn(stage, monkeypatch):
    member = await stage.visitor()
    offer = await member.shown(await asked(member))
    reached = asyncio.Event()

    async def stuck(self, *_):
        reached.set()
        await asyncio.Event().wait()

    begin = Scripting._begin
    monkeypatch.setattr(Scripting, "_begin", stuck)
    await member.press(offer, "scriptdraw")
    async with asyncio.timeout(60):
        await reached.wait()
    monkeypatch.setattr(Scripting, "_begin", begin)
    await stage.restart(kill=True)
    await member.drawn(await member.press(offer, "scriptdraw"))
    await stage.restart(kill=True)
    await refused(member, await member.press(offer, "scriptdraw"), "script_drawn")


async def test_a_script_or_sheet_of_another_version_ends_and_keeps_nobody_waiting(stage):
    member = await stage.visitor()
    stage.painter.hold()
    await begun(member)
    answer = await begun(member, MANY)
    await stage.painter.asked(1)
    await stage.stop_bot(kill=True)
    newest = "(SELECT id FROM jobs WHERE lane = 'script' ORDER BY rowid DESC LIMIT 1)"
    await asyncio.to_thread(
        stage.execute,
        f"UPDATE jobs SET spec = json_remove(spec, '$.base.prompt') WHERE lane = 'script' AND id != {newest}",
    )
    last = f"(SELECT id FROM jobs WHERE script_id = {newest} ORDER BY rowid DESC LIMIT 1)"
    broken = f"UPDATE jobs SET spec = json_set(spec, '$.cells[0].steps', 0) WHERE id = {last}"
    await asyncio.to_thread(stage.execute, broken)
    await stage.start_bot()
    stage.painter.release()
    await member.shown(answer.message_id, finished)
    await stage.told()
    states = [row["status"] for row in stage.rows("SELECT status FROM jobs WHERE lane = 'script' ORDER BY rowid")]
    assert states == ["failed", "delivered"]


# --- afterwards -------------------------------------------------------------------------------------------------------


async def test_deleting_the_grid_takes_the_cells_that_have_no_card(stage):
    member = await stage.visitor()
    card = await grid(member)
    cell = await member.shown(await member.pick(card, "scriptcell", ["0"]), finished)
    await member.press(card, "delete")
    await member.gone(card)
    left = stage.rows("SELECT id, job_id FROM images WHERE deleted_at IS NULL")
    assert [row["job_id"] for row in left] == [member.job(cell)["id"]]


async def test_the_history_has_the_grid_and_every_cell(stage):
    member = await stage.visitor()
    await grid(member)
    history = await member.shown(await member.slash("general", "history"))
    assert "5" in history.text
    opens = next(item for item in history.components() if ":historyopen:" in str(item.get("custom_id")))
    for option in opens["options"]:
        with Trouble() as trouble:
            await member.pick(history, "historyopen", [option["value"]])
            opened = await member.shown(history.id, lambda m: "historypicture" in verbs(m))
            assert "a street" in opened.text
            await member.press(opened, "history")
            history = await member.shown(history.id, lambda m: "historyopen" in verbs(m))
            assert trouble.take() == []


async def test_a_script_is_one_job_of_as_many_pictures_as_it_has_cells(stage):
    member = await stage.visitor()
    await grid(member)
    now = time.time()
    report = await asyncio.to_thread(read_usage, stage.settings.database_path, now - 1000, now + 1000, None)
    assert (report.jobs, report.pictures, report.failed) == (1, 4, 0)
    assert report.gpu_s == pytest.approx(0.1)
    quota = await stage.studio.safety.limits._spending.of(int(member.user_id))
    assert (quota.pictures, quota.waiting) == (4, 0)


async def test_forgetting_takes_a_script_with_everything_it_was_drawn_with(stage):
    member = await stage.visitor()
    await grid(member)
    stage.painter.hold()
    await begun(member, MANY)
    await stage.painter.asked(2)
    asked_for = await member.shown(await member.slash("general", "forget-me"))
    form = await member.press(asked_for, "forget")
    await member.fill(form, {"word": load_language("en")["forget.word"]})
    async with asyncio.timeout(60):
        while stage.rows("SELECT 1 FROM jobs"):
            await asyncio.sleep(0.02)
    assert not [path for path in stage.settings.outputs_dir.rglob("*") if path.is_file()]


async def test_a_grid_whose_file_is_gone_is_offered_to_be_drawn_again(stage):
    member = await stage.visitor()
    card = await grid(member, seed=9)
    (image,) = member.images(card)
    await asyncio.to_thread((stage.settings.outputs_dir / image["path"]).unlink)
    await asyncio.to_thread(stage.execute, "UPDATE images SET pruned_at = 1 WHERE id = ?", image["id"])
    history = await member.shown(await member.slash("general", "history"))
    opens = next(item for item in history.components() if ":historyopen:" in str(item.get("custom_id")))
    await member.pick(history, "historyopen", [opens["options"][-1]["value"]])  # the script is older than its cells
    opened = await member.shown(history.id, lambda m: "historypicture" in verbs(m))
    offer = await member.shown(await member.press(opened, "historypicture", 5))
    assert "4 pictures" in offer.text
    await member.drawn(await member.press(offer, "scriptdraw"))
    assert {cell.seed for cell in drawn_cells(stage)} == {9}
