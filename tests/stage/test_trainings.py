"""A training from its desk to its files and samples: started, watched, paused, continued, ended, refused."""

import asyncio
import json

import pytest

from bot.domain.preferences import TRAINING, Level
from bot.domain.queue_rules import GateState
from bot.storage.queue_gates import ALL_SERVERS
from tests.stage.refusing import refused, unchanged
from tests.stage.training_scenes import make_dataset, open_desk, started, trains
from tests.stage.visitor import verbs


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Nobody waits for the next edit of a card."""
    monkeypatch.setattr("bot.delivery.progress.TRAINING_EVERY_S", 0.2)
    monkeypatch.setattr("bot.delivery.progress.RUNNING_EVERY_S", 0.2)
    monkeypatch.setattr("bot.delivery.progress.QUEUED_EVERY_S", 0.2)


async def test_it_trains_draws_samples_of_each_epoch_and_shows_them(stage):
    member = await stage.visitor()
    await make_dataset(stage, member)
    await trains(stage)
    stage.painter.hold()
    card = await started(stage, member)
    card = await member.shown(card.id, lambda m: "epoch 1 of 2" in m.text)
    assert not card.ephemeral
    (row,) = stage.rows("SELECT * FROM trainings")
    assert (row["name"], row["trigger_words"], row["preset"]) == ("zorbs", "zorb", "character")
    assert json.loads(row["samples"]) == ["zorb", "zorb, a red disc"]
    # The first epoch is saved; what it draws goes before the second.
    await stage.painter.step()
    await stage.painter.asked(2)
    sample = stage.painter.specs[1]
    assert [own.prompt for own in sample.texts] == [
        "zorb <lora:zorbs-000001:1>", "zorb, a red disc <lora:zorbs-000001:1>",
    ]  # fmt: skip
    assert (sample.seed, sample.checkpoint, sample.width) == (1000, "dreamy", 512)
    await member.shown(card.id, lambda m: "Rests at step 10 of 20" in m.text)
    await stage.painter.step()
    card = await member.shown(
        card.id, lambda m: "epoch 2 of 2" in m.text and "zorbs-000001" in m.text and len(m.media) == 3
    )
    assert verbs(card) == ["training", "training", "cancel"]
    stage.painter.release()
    done = await member.shown(card.id, lambda m: "Trained: 20 steps" in m.text and len(m.media) == 2)
    assert "`zorbs` · " in done.text
    assert "<lora:zorbs:1>" in done.text
    await stage.told()
    files = stage.rows("SELECT * FROM training_files ORDER BY epoch")
    assert [(file["name"], file["step"], file["final"]) for file in files] == [
        ("zorbs-000001", 10, 0),
        ("zorbs", 20, 1),
    ]
    samples = stage.rows("SELECT * FROM jobs WHERE action = 'sample' ORDER BY created_at")
    assert [job["id"] for job in samples] == [file["sample_job_id"] for file in files]
    assert {job["status"] for job in samples} == {"delivered"}
    assert {job["message_id"] for job in samples} == {None}
    # Nobody asked for a sample, so /repeat draws none.
    await refused(member, await member.slash("general", "repeat"), "nothing_to_repeat")


async def test_its_user_pauses_it_and_it_goes_on_after_the_bot_has_died(stage):
    member, other = await stage.visitor(), await stage.visitor("Other")
    await make_dataset(stage, member)
    await trains(stage)
    stage.painter.hold()
    card = await started(stage, member)
    card = await member.shown(card.id, lambda m: "epoch 1 of 2" in m.text)
    await stage.painter.step()
    await stage.painter.asked(2)
    await member.shown(card.id, lambda m: "Rests at step 10 of 20" in m.text)
    await stage.painter.step()
    card = await member.shown(card.id, lambda m: "epoch 2 of 2" in m.text and "Samples of" in m.text)
    await refused(other, await other.press(card, "training", 1), "train_not_yours")
    assert "pauses at its next step" in await member.told(await member.press(card, "training", 1))
    card = await member.shown(card.id, lambda m: "Paused by you at step 10 of 20" in m.text)
    stage.painter.release()
    await stage.restart(kill=True)
    assert len(stage.painter.assigned) == 3
    assert "goes on as soon as" in await member.told(await member.press(card, "training", 2))
    await member.shown(card.id, lambda m: "Trained: 20 steps" in m.text and len(m.media) == 2)
    await stage.told()
    # Each epoch has drawn once, whoever died meanwhile.
    assert [spec.kind for spec in stage.painter.specs].count("txt2img") == 2
    await refused(member, await member.slash("general", "train resume"), "train_over")
    listed = await member.shown(await member.slash("general", "train list"))
    assert "trained" in listed.text
    shown = await member.shown(await member.press(card, "training", 4), lambda m: m.attachments)
    assert len(shown.attachments) == 2
    for row in stage.rows("SELECT path FROM images"):
        (stage.settings.outputs_dir / row["path"]).unlink()
    assert "no samples" in await member.told(await member.press(card, "training", 4))


async def test_an_epoch_draws_once_though_the_bot_dies_right_after_it_was_saved(stage, monkeypatch):
    member = await stage.visitor()
    await make_dataset(stage, member)
    await trains(stage)
    stage.painter.hold()
    await started(stage, member)
    await stage.painter.asked(1)
    monkeypatch.setattr(stage.studio.trainings._samples, "saved", lambda job_id: None)
    # What was let in draws its samples, though nothing new is.
    await stage.studio.gates.put(ALL_SERVERS, GateState.DRAINING, 1)
    await stage.painter.step()
    while not stage.rows("SELECT 1 FROM training_files"):
        await asyncio.sleep(0.01)
    await stage.restart(kill=True)
    stage.painter.release()
    await stage.told()
    samples = stage.rows("SELECT * FROM jobs WHERE action = 'sample' ORDER BY created_at")
    files = stage.rows("SELECT sample_job_id FROM training_files")
    assert len(samples) == 2
    assert {row["id"] for row in samples} == {file["sample_job_id"] for file in files}


async def test_out_of_memory_names_the_setting_and_one_press_changes_it(stage):
    member = await stage.visitor()
    await make_dataset(stage, member)
    await trains(stage)
    stage.painter.fail("oom", reason="training_memory", setting="train_batch_size", value="1")
    card = await started(stage, member)
    card = await member.shown(card.id, lambda m: "Set train" in m.text)
    assert "train_batch_size 1, and start" in str(list(card.components()))
    stage.painter.hold()
    again = await member.shown(await member.press(card, "training", 6), lambda m: "training" in verbs(m))
    await stage.painter.asked(2)
    first, second = stage.painter.specs
    assert (first.datasets[0].rules.batch_size, second.datasets[0].rules.batch_size) == (2, 1)
    assert second.parameters.max_train_epochs == 2
    assert stage.rows("SELECT retry_of FROM trainings ORDER BY created_at")[1][0] == member.job(card)["id"]
    assert "zorbs" in again.text
    await member.press(again, "cancel")
    ended = await member.shown(again.id, lambda m: "Cancelled at step" in m.text)
    # As a desk of its own it can be changed further.
    desk = await member.shown(await member.press(ended, "training", 5), lambda m: "trainopen" in verbs(m))
    assert "train_batch_size 1" in desk.text


async def test_what_cannot_be_trained_is_refused_with_the_next_step(make_stage):
    stage = await make_stage(train_steps_max=200)
    member = await stage.visitor()
    await trains(stage)
    await refused(member, await member.slash("general", "train start"), "train_no_dataset")
    await make_dataset(stage, member)
    await make_dataset(stage, member, pictures=2, name="two")
    await make_dataset(stage, member, pictures=0, name="captions alone")
    async with unchanged(stage):
        for options, key in (
            ({"dataset": "no such"}, "train_dataset_unknown"),
            ({"base": "dreamy-inpainting"}, "train_base"),
            ({"base": "nowhere"}, "checkpoint_unknown"),
            ({"name": "a/b"}, "train_name"),
        ):
            await refused(member, await member.slash("general", "train start", options), key)
    for options, words, key in (
        ({"dataset": "two"}, "2 pictures", "train_few"),
        ({"dataset": "captions alone"}, "no pictures", "train_empty"),
        ({"dataset": "zorbs", "name": "inkwash"}, "already", "train_name_taken"),
    ):
        desk = await open_desk(member, **options)
        assert words in desk.text
        await refused(member, await member.press(desk, "train", 1), key)
    desk = await open_desk(member, dataset="zorbs")
    for n, fields, words in (
        (3, {"unet_lr": "nan"}, "unet_lr has to be a finite number"),
        (3, {"optimizer_type": "Prodigy"}, "unet_lr has to be text_encoder_lr for Prodigy"),
        (1, {"max_train_epochs": "many"}, "max_train_epochs has to be a whole number"),
        (2, {"network_dim": "0"}, "network_dim has to be at least 1"),
        (1, {"train_batch_size": "99"}, "train_batch_size has to be at most 64"),
        (4, {"resolution": "100"}, "multiples of 8"),
        (4, {"switches": ["random_crop", "cache_latents"]}, "random_crop cannot be had of cached latents"),
    ):
        answer = await member.fill(await member.press(desk, "trainopen", n), fields)
        said = (await refused(member, answer, "train_value")).replace("\\", "")
        assert words in said, said
    for text, words in (
        ("netwrok_dim = 8", "netwrok_dim is no parameter that is known here. Did you mean network_dim"),
        ("unet_lr = nan", "unet_lr is nan and no number"),
        ("color_aug = true", "color_aug cannot be"),
    ):
        answer = await member.fill(await member.press(desk, "trainopen", 21), {"text": text})
        said = (await refused(member, answer, "train_parameter")).replace("\\", "")
        assert words in said, said
    for fields, files, key in (
        ({}, {}, "train_config_none"),
        ({}, {"file": ("a.toml", b"\xff\xfe\x00")}, "train_config_encoding"),
        ({}, {"file": ("a.toml", b"# " + b"a" * (1 << 20))}, "train_config_large"),
    ):
        answer = await member.fill(await member.press(desk, "trainopen", 21), fields, files)
        await refused(member, answer, key)
    for samples, key in (("a\nb\nc\nd\ne", "train_samples_many"),):
        form = await member.press(desk, "trainopen", 20)
        await refused(member, await member.fill(form, {"name": "zorbs", "samples": samples}), key)
    for samples, words in (("a --w 512\nb --w 256", "--w has to be the same"), ("a --d 5\nb --d 9", "line 2 has 6")):
        form = await member.press(desk, "trainopen", 20)
        await member.fill(form, {"name": "zorbs", "samples": samples})
        desk = await member.shown(desk.id, lambda m, words=words: words in m.text)
    form = await member.press(desk, "trainopen", 20)
    await member.fill(form, {"name": "zorbs", "samples": ""})
    await member.shown(desk.id, lambda m: "sample 1: zorb" in m.text)
    await member.fill(await member.press(desk, "trainopen", 1), {"max_train_epochs": "21"})
    desk = await member.shown(desk.id, lambda m: "210 steps" in m.text)
    await refused(member, await member.press(desk, "train", 1), "train_steps")
    config = b'max_train_epochs = 2\nnetwork_dim = 32\nresolution = 256\nxformers = true\noutput_name = "disc"'
    await member.fill(await member.press(desk, "trainopen", 21), {}, {"file": ("kohya.toml", config)})
    desk = await member.shown(desk.id, lambda m: "network_dim 32" in m.text and "resolution 256" in m.text)
    assert "Train a LoRA: disc" in desk.text
    assert "xformers" in desk.text
    stage.painter.hold()
    await member.shown(await member.press(desk, "train", 1), lambda m: "training" in verbs(m))
    await refused(member, await member.press(desk, "train", 1), "train_started")
    await refused(member, await member.press(await open_desk(member, dataset="zorbs"), "train", 1), "train_waits")
    stage.execute("DELETE FROM datasets")
    desk = await open_desk_again(member, desk)
    assert "data set is gone" in desk.text


async def open_desk_again(member, desk):
    await member.press(desk, "train", 3)
    return await member.shown(desk.id, lambda m: "gone" in m.text)


async def test_words_that_may_not_be_drawn_may_not_be_taught(stage):
    member = await stage.visitor()
    await trains(stage)
    await make_dataset(stage, member, name="bad", caption="zorb, naked woman, nude")
    desk = await open_desk(member, dataset="bad")
    sentence = await refused(member, await member.press(desk, "train", 1), "train_captions_refused")
    assert "p0, p1, p2, p3" in sentence
    # One of them alone, which would be fine of a drawn adult; then one that is fine nowhere.
    for said, key in (("bikini", "train_captions_refused"), ("child, bikini", "train_captions_minors")):
        stage.execute("UPDATE dataset_images SET caption = iif(name = 'p2', ?, 'zorb')", said)
        sentence = await refused(member, await member.press(desk, "train", 1), key)
        assert "p2" in sentence
        assert "p1" not in sentence
    await make_dataset(stage, member)
    desk = await open_desk(member, dataset="zorbs", name="nude woman")
    await refused(member, await member.press(desk, "train", 1), "train_words_refused")
    for fields in ({"trigger": "nude woman"}, {"samples": "a nude woman"}):
        desk = await open_desk(member, dataset="zorbs")
        await member.fill(await member.press(desk, "trainopen", 20), {"name": "zorbs", **fields})
        desk = await member.shown(desk.id, lambda m: "nude woman" in m.text)
        await refused(member, await member.press(desk, "train", 1), "train_samples_refused")
    # What is from an age-restricted channel is not shown elsewhere, and its samples are.
    stage.execute("UPDATE datasets SET nsfw = 1")
    await refused(member, await member.press(desk, "train", 1), "dataset_elsewhere")
    assert not stage.rows("SELECT 1 FROM jobs")


async def test_a_server_says_who_may_train(make_stage):
    stage = await make_stage(operators=frozenset({1}))
    member, admin = await stage.visitor(), await stage.visitor("Admin")
    for person in (member, admin):
        await make_dataset(stage, person)
    desk = await open_desk(member)
    for word, key, allowed in (("admins", "train_admins", True), ("nobody", "train_nobody", False)):
        await stage.studio.preferences.put(Level.SERVER, stage.guild_id, TRAINING, word)
        await refused(member, await member.slash("general", "train start"), key)
        await refused(member, await member.press(desk, "train", 1), key)
        answer = await admin.slash("general", "train start")
        if allowed:
            assert "trainopen" in verbs(await admin.shown(answer))
        else:
            await refused(admin, answer, key, language="es")


async def test_a_private_one_is_out_of_sight_and_its_card_moves_to_where_it_is_asked_for(stage):
    member, other = await stage.visitor(), await stage.visitor("Other")
    await make_dataset(stage, member)
    await trains(stage)
    stage.painter.hold()
    card = await started(stage, member, n=2)
    assert card.ephemeral
    await stage.painter.asked(1)
    stage.execute("UPDATE jobs SET token_expires_at = 0")
    moved = await member.shown(await member.slash("general", "train show"), lambda m: "training" in verbs(m))
    while stage.rows("SELECT message_id FROM jobs")[0][0] != int(moved.id):
        await asyncio.sleep(0.01)
    await refused(other, await other.slash("general", "train show"), "train_unknown")
    stage.painter.release()
    done = await member.shown(moved.id, lambda m: "Trained: 20 steps" in m.text)
    assert done.ephemeral
    await stage.told()
    await stage.studio.trained.comparing.settled()
    # What comes of it is for its user alone, too, however often the desk is drawn; a button does what it says.
    desk = await member.shown(await member.press(done, "training", 5))
    await member.press(desk, "train", 3)
    desk = await member.shown(desk.id, lambda m: "Start for all to see" in m.text + str(m.labels))
    assert (await member.shown(await member.press(desk, "train", 2), lambda m: "training" in verbs(m))).ephemeral
    # Its comparison comes by direct message, once it is there: a card that waits could not be edited any more.
    plot = await member.wait_for_message("dm", lambda m: bool(m.media))
    assert [m.id for m in await member.messages("dm")] == [plot.id]
    assert {row["private"] for row in stage.rows("SELECT private FROM jobs")} == {1}


async def test_what_is_gone_or_old_is_said(stage):
    member = await stage.visitor()
    await make_dataset(stage, member)
    desk = await open_desk(member)
    stage.painter.hold()
    card = await started(stage, member)
    await refused(member, await member.slash("general", "train resume"), "train_not_paused")
    assert "Training of zorbs" in (await member.shown(await member.slash("general", "queue"))).text
    admin = await stage.visitor("Admin")
    panel = await admin.shown(await admin.slash("general", "panel"), lambda m: "queuejobs" in verbs(m))
    assert "zorbs" in str(list(panel.components()))
    await member.press(card, "cancel")
    ended = await member.shown(card.id, lambda m: "Cancelled at step 0" in m.text)
    await refused(member, await member.slash("general", "train cancel"), "train_over")
    stage.execute("DELETE FROM datasets")
    await refused(member, await member.press(ended, "training", 7), "train_dataset_gone")
    stage.execute("DELETE FROM training_desks")
    await refused(member, await member.press(desk, "train", 3), "train_desk_unknown")
