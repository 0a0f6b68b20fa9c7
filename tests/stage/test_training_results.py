"""What becomes of a training's files: who may draw with them, their comparison, what is published, what goes."""

import asyncio
import errno
import json
import shutil
import time
from pathlib import Path
from unittest.mock import AsyncMock

import aiohttp
import pytest

from bot.i18n import load_language
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ImageRef, Img2Img
from tests.gpu_worker.language.test_models import KOHYA, write
from tests.stage.refusing import press, refused, unchanged
from tests.stage.trained import trained
from tests.stage.training_scenes import make_dataset, open_desk, started, trains


def said(stage, job_id, column):
    ((value,),) = stage.rows(f"SELECT {column} FROM trainings WHERE job_id = '{job_id}'")
    return value


def addresses(card):
    """Verb and number of everything on it."""
    parts = [str(item.get("custom_id") or "").split(":") for item in card.components()]
    return {(part[1], part[3]) for part in parts if len(part) == 4}


def half_copied(_source, target):
    Path(target).write_bytes(b"half")
    raise OSError(errno.ENOSPC, "full")


async def offered_loras(member, typed):
    """By the list of /imagine's option."""
    found = await member.autocomplete("general", "imagine", "lora", {"prompt": "x", "lora": typed})
    return {choice["value"] for choice in found}


async def offered_trainings(member):
    found = await member.autocomplete("general", "train publish", "training", {"training": ""})
    return {choice["value"] for choice in found}


async def test_an_unpublished_lora_is_there_for_its_person_alone(stage):
    owner, other = await stage.visitor(), await stage.visitor("Moderator")
    await trained(stage, owner)
    assert {"zorb", "zorb-000001", "zorb-000002"} <= await offered_loras(owner, "zo")
    assert not any("zorb" in name for name in await offered_loras(other, "zo"))
    typed = {"prompt": "a hat <lora:zorb-000002:0.8>", "seed": 5, "count": 1}
    drawn = await owner.drawn(await owner.slash("general", "imagine", typed))
    assert owner.spec(drawn)["prompt"] == "a hat <lora:zorb-000002:0.8>"
    # Typed, drawn again by a button, put into a plot: as if there was none.
    async with unchanged(stage):
        sentence = await refused(other, await other.slash("general", "imagine", typed), "lora_unknown")
        assert "zorb" not in sentence.split("Did you mean")[1]
        await refused(other, await other.press(drawn, "reroll"), "lora_unknown")
        # What the pictures may not be made into, what was learnt from them may not draw, nor what comes of that.
        typed["prompt"] = "a hat and a bikini <lora:zorb-000002:0.8>"
        await refused(other, await other.slash("general", "imagine", typed), "lora_unknown")
    await refused(owner, await owner.slash("general", "imagine", typed), "content_upload")
    image = stage.rows("SELECT id FROM images")[0]["id"]
    edited = await stage.studio.safety.origins.from_upload(
        Img2Img(prompt="x", checkpoint="m", width=64, height=64, seed=1, image=ImageRef(
            ref=f"image:{image}", sha256="0" * 64, mime="image/png", size_bytes=1)), int(other.user_id),
    )  # fmt: skip
    assert edited
    async with unchanged(stage):
        plot = {"prompt": "a hat", "x_type": "LoRA", "x_values": "None, zorb"}
        await refused(other, await other.slash("general", "plot", plot), "plot_value")
        for command in ("train compare", "train file", "train delete"):
            await refused(other, await other.slash("general", command, {"training": "zorb"}), "train_unknown")


async def test_epochs_are_compared_judged_and_tried_again(stage, monkeypatch):
    owner, other = await stage.visitor(), await stage.visitor("Moderator")
    job_id = await trained(stage, owner)
    trainings, compared_before = stage.studio._kept.trainings, []
    kept_findings = trainings.set_findings

    async def set_findings(job_id, findings):
        compared_before.append(said(stage, job_id, "comparison_id"))
        await kept_findings(job_id, findings)

    monkeypatch.setattr(trainings, "set_findings", set_findings)
    offer = await owner.shown(await owner.slash("general", "train compare", {"training": "zorb"}))
    assert "24" in offer.text
    await refused(other, await press(stage, other, "trained", job_id, 1), "train_not_yours")
    plot = await owner.drawn(await owner.press(offer, "scriptdraw"))
    assert {cell.prompt for sheet in stage.painter.specs for cell in sheet.cells} >= {
        "zorb", "zorb <lora:zorb:1>", "zorb at the beach <lora:zorb-000001:0.5>",
    }  # fmt: skip
    await stage.told()
    await stage.studio.trained.comparing.settled()
    # The painter's pictures depend on the seed alone: nothing was learnt.
    findings = json.loads(said(stage, job_id, "findings"))
    assert [finding["kind"] for finding in findings["findings"]] == ["raw"]
    assert [one["name"] for one in findings["measures"]["epochs"]] == ["zorb-000001", "zorb-000002", "zorb"]
    assert said(stage, job_id, "comparison_id") == stage.rows("SELECT id FROM jobs WHERE action = 'plot'")[0][0]
    assert compared_before == [None]  # a bot that dies in between looks again
    assert plot is not None
    told = await owner.shown(await press(stage, owner, "trained", job_id, 4))
    assert "Raw" in told.text
    assert "unet_lr 0.0001 → 0.0003" in told.text
    best = "UPDATE trainings SET findings = json_set(findings, '$.best', 'zorb-000002')"
    await asyncio.to_thread(stage.execute, best)
    card = await owner.shown(await owner.slash("general", "train show", {"training": "zorb"}))
    assert "Draw with `<lora:zorb-000002:1>`" in card.text
    # Its data set is gone, which the desk says; the change is in it.
    desk = await owner.shown(await owner.press(told, "trained", 10))
    assert "unet_lr 0.0003" in desk.text
    ((wish,),) = stage.rows("SELECT wish FROM training_desks")
    assert json.loads(wish)["retry_of"] == job_id
    # Another epoch was published as `zorb`, which is what this name draws from now on: it is no part of a comparison.
    stage.painter.facts = (*stage.painter.facts, ModelFact(kind="lora", name="zorb", family="sd1"))
    await stage.painter.announce()
    offer = await owner.shown(await owner.slash("general", "train compare", {"training": "zorb"}))
    assert "18" in offer.text


async def test_epochs_are_compared_by_themselves_once_and_where_that_was_wished(stage):
    owner = await stage.visitor()
    await make_dataset(stage, owner)
    await trains(stage)
    card = await started(stage, owner)
    card = await owner.shown(card.id, lambda m: "Raw" in m.text)  # of the painter's pictures, which know no LoRA
    assert "Files are kept until" in card.text
    assert {("trained", "1"), ("trained", "4")} <= addresses(card)
    ((job_id, plot),) = stage.rows("SELECT job_id, comparison_id FROM trainings")
    assert stage.rows("SELECT parent_id, reply_to_id FROM jobs WHERE id = ?", plot)[0]["parent_id"] == job_id
    comparing = stage.studio.trained.comparing
    unwanted = await trained(stage, owner, name="blob")
    stage.execute("UPDATE trainings SET compare = 0 WHERE job_id = ?", unwanted)
    for again in (unwanted, job_id, plot):
        comparing.job_ended(again)
    await comparing.settled()
    assert len(stage.rows("SELECT id FROM jobs WHERE action = 'plot'")) == 1


@pytest.mark.slow
async def test_an_epoch_is_published_by_whoever_may_add_models(make_stage, monkeypatch):
    stage = await make_stage(operators=frozenset({1}))  # or else the admin of a playground is one
    owner, admin = await stage.visitor(), await stage.visitor("Admin")
    job_id = await trained(stage, owner)
    sentence = await refused(
        owner, await owner.slash("general", "train publish", {"training": "zorb"}), "trained_publish_right"
    )
    assert job_id in sentence
    write(stage.settings.data / "models" / "loras" / "taken.safetensors", KOHYA)
    await stage.studio.library.refresh()
    options = {"training": job_id, "epoch": "zorb-000002"}
    async with unchanged(stage):
        # Publishing is all that an admin has to do with it, and of a private one not even that.
        for command in ("train file", "train delete", "train compare"):
            await refused(
                admin, await admin.slash("general", command, {"training": job_id}), "train_unknown", language="es"
            )
        assert job_id in await offered_trainings(admin)
        stage.execute("UPDATE jobs SET private = 1 WHERE id = ?", job_id)
        assert job_id not in await offered_trainings(admin)
        await refused(admin, await admin.slash("general", "train publish", options), "train_unknown", language="es")
        await refused(admin, await press(stage, admin, "trained", job_id, 2), "train_not_yours", language="es")
        stage.execute("UPDATE jobs SET private = 0 WHERE id = ?", job_id)
        taken = await admin.slash("general", "train publish", {**options, "name": "Taken"})
        await refused(admin, taken, "train_publish_taken", language="es")
        none = await admin.slash("general", "train publish", {**options, "epoch": "zorb-000009"})
        await refused(admin, none, "trained_epoch", language="es")
        named = await admin.slash("general", "train publish", {**options, "name": "a/b"})
        await refused(admin, named, "train_name", language="es")
        with monkeypatch.context() as full:
            full.setattr(shutil, "copyfile", half_copied)
            failed = await admin.slash("general", "train publish", {**options, "name": "Zorb one"})
            await refused(admin, failed, "library_disk", language="es")
        assert not list((stage.settings.data / "publishing").iterdir()), "half of a gigabyte helps nobody"
    # By the button, its list and its form.
    asked = await admin.shown(await press(stage, admin, "trained", job_id, 2))
    form = await admin.pick(asked, "trainedpick", ["zorb-000002"])
    zero = await admin.fill(form, {"name": "Zorb", "trigger": "zorb", "weight": "0"})
    await refused(admin, zero, "train_publish_weight", language="es")
    form = await admin.pick(asked, "trainedpick", ["zorb-000002"])
    done = await admin.shown(
        await admin.fill(form, {"name": "Zorb one", "trigger": "zorb, round", "weight": "0,8"}),
        lambda m: "Zorb one" in m.text,
    )
    assert "/admin-modelos quitar" in done.text
    file = stage.studio.library.find("lora", "Zorb one")
    assert (file.trigger_words, file.metadata["preferred_weight"]) == (("zorb", "round"), "0.8")
    assert (file.added_in, file.added_by, file.family) == (stage.guild_id, int(owner.user_id), "sd1")
    assert said(stage, job_id, "published") == "Zorb one"
    assert len(await stage.studio._kept.trainings.files(job_id)) == 3  # the training keeps its own
    assert not list((stage.settings.data / "publishing").iterdir())
    # It is deleted, and the published one stays.
    question = await owner.shown(await owner.slash("general", "train delete", {"training": "zorb"}))
    assert "Zorb one" in question.text
    gone = await owner.shown(
        await owner.press(question, "trained", 6), lambda m: "deleted" in m.text
    )  # fmt: skip
    assert gone
    assert stage.rows("SELECT name FROM training_files") == []
    assert not list((stage.settings.data / "trainings").rglob("*.safetensors"))
    assert stage.studio.library.find("lora", "Zorb one") is not None
    assert not any("zorb-0" in name for name in await offered_loras(owner, "zorb-0"))
    await refused(owner, await owner.slash("general", "train file", {"training": "zorb"}), "trained_no_files")


@pytest.mark.slow
async def test_what_learnt_from_adult_pictures_is_held(make_stage):
    stage = await make_stage(operators=frozenset({1}))
    owner, admin = await stage.visitor(), await stage.visitor("Admin")
    made = await stage.studio._kept.datasets.create(
        int(owner.user_id), "zorbs", guild_id=stage.guild_id, consent_at=1.0, repeats=5, class_tokens="zorb"
    )
    stage.execute("UPDATE datasets SET nsfw = 1 WHERE id = ?", made.id)
    job_id = await trained(stage, owner, dataset=made.id)
    answer = await admin.slash("general", "train publish", {"training": job_id, "name": "zorb-x"})
    card = await admin.shown(answer, lambda m: "zorb-x" in m.text)
    assert "admin-modelos activar" in card.text
    await stage.studio._kept.datasets.delete(made.id)
    answer = await admin.slash("general", "train publish", {"training": job_id, "name": "zorb-y"})
    card = await admin.shown(answer, lambda m: "zorb-y" in m.text)
    assert "admin-modelos activar" in card.text, "what it has learnt does not go with the pictures"
    rules = stage.rows("SELECT enabled, guild_id FROM model_rules")
    assert [tuple(rule) for rule in rules] == [(0, stage.guild_id)] * 2


async def test_a_file_is_handed_out_while_it_fits_and_is_there(stage):
    owner = await stage.visitor()
    job_id = await trained(stage, owner)
    asked = await owner.shown(await press(stage, owner, "trained", job_id, 3))
    answer = await owner.pick(asked, "trainedpick", ["zorb-000001"])
    message = await owner.wait_for_message(
        "general", lambda m: any(one["filename"] == "zorb-000001.safetensors" for one in m.raw["attachments"])
    )
    assert message.ephemeral, answer
    async with unchanged(stage, "training_files"):
        await refused(owner, await press(stage, owner, "trained", job_id, 4), "trained_no_findings")
        stage.execute("UPDATE training_files SET size_bytes = 5000000000 WHERE name = 'zorb'")
        sentence = await refused(
            owner, await owner.slash("general", "train file", {"training": "zorb"}), "trained_too_large"
        )
        assert job_id in sentence
        (stage.settings.data / "trainings" / job_id / "zorb-000002.safetensors").unlink()
        gone = await owner.slash("general", "train file", {"training": "zorb", "epoch": "2"})
        await refused(owner, gone, "train_file_gone")
    # While it is not over, its files stay: it may go on from them.
    stage.execute("UPDATE jobs SET status = 'queued', held_at = 1.0 WHERE id = ?", job_id)
    await refused(owner, await press(stage, owner, "trained", job_id, 6), "trained_running")
    assert len(stage.rows("SELECT name FROM training_files")) == 3


async def test_all_trainings_together_have_a_bound(make_stage):
    stage = await make_stage(trainings_gb=0.000001)
    owner, other = await stage.visitor(), await stage.visitor("Moderator")
    await trained(stage, owner)
    await make_dataset(stage, other)
    await refused(other, await other.press(await open_desk(other), "train", 1), "trained_room_all")


async def test_old_files_go_after_they_were_announced_and_a_forgotten_person_leaves_none(make_stage):
    stage = await make_stage(trainings_keep_days=10, trainings_user_gb=0.000001)
    owner = await stage.visitor()
    job_id = await trained(stage, owner)
    keeping = stage.studio.trained.keeping
    day = 24 * 3600
    stage.execute("UPDATE training_files SET arrived_at = ?", time.time() - 20 * day)
    fetch_user, down = keeping._client.fetch_user, AsyncMock(side_effect=aiohttp.ClientError)
    keeping._client.fetch_user = down
    await keeping.sweep()
    keeping._client.fetch_user = fetch_user
    assert said(stage, job_id, "end_told_at") is None  # without a net nobody was told
    await keeping.sweep()  # tells first, however late it is
    told = await owner.wait_for_message("dm", lambda m: "zorb" in m.text)
    assert "3 days" in told.text
    assert len(stage.rows("SELECT name FROM training_files")) == 3
    await keeping.sweep()
    assert len(stage.rows("SELECT name FROM training_files")) == 3
    stage.execute("UPDATE trainings SET end_told_at = ?", time.time() - 3.1 * day)
    await keeping.sweep()
    assert stage.rows("SELECT name FROM training_files") == []
    assert said(stage, job_id, "name") == "zorb"
    again = await trained(stage, owner, name="blob")
    await make_dataset(stage, owner)
    desk = await open_desk(owner)
    await refused(owner, await owner.press(desk, "train", 1), "trained_room")
    # Whoever is forgotten leaves neither rows nor files.
    asked = await owner.shown(await owner.slash("general", "forget-me", {}))
    form = await owner.press(asked, "forget")
    await owner.fill(form, {"word": "forget me"})
    await owner.shown(asked.id, lambda m: load_language("en")["forget.done"] in m.text)
    assert stage.rows("SELECT job_id FROM trainings") == []
    assert not (stage.settings.data / "trainings" / again).exists()
