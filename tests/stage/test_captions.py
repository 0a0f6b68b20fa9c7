"""The tag editor on the stage: from pictures to captions and back, by hand, in bulk and by a tagger."""

import io
import threading
import zipfile

import pytest

from bot.studio.captions import desk
from tests.stage.captioned_sets import captioned_set, captioning, captions_of, editor_of, picture_bytes
from tests.stage.refusing import press, refused, unchanged
from tests.stage.visitor import verbs

FOUR = ["mychar, red hair, smile", "mychar, red hair, hat", "blue sky", None]


def packed(captions):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, caption in enumerate(captions):
            archive.writestr(f"5_mychar/{number}.png", picture_bytes(number))
            if caption is not None:
                archive.writestr(f"5_mychar/{number}.txt", caption)
    return out.getvalue()


async def work(member, card, what, fields=None):
    """Chooses that line of the list of operations, and fills the form that it opens."""
    answer = await member.pick(card, "captionswork", [str(what)])
    if fields is not None:
        answer = await member.fill(answer, fields)
    return answer


async def redrawn(member, card, *words, without=()):
    return await member.shown(
        card.id, lambda m: all(word in m.text for word in words) and not any(word in m.text for word in without)
    )


async def test_from_an_upload_to_edited_captions_and_back(stage, monkeypatch):
    threads, changed = [], desk.changed
    monkeypatch.setattr(desk, "changed", lambda *args: threads.append(threading.current_thread()) or changed(*args))
    member = await stage.visitor()
    form = await member.slash("general", "dataset create", {"name": "My char"})
    await member.shown(await member.fill(form, {"consent": True}), lambda m: "My char" in m.text)
    added = await member.slash("general", "dataset add", {"name": "my char"}, {"file1": ("a.zip", packed(FOUR))})
    await member.shown(added, lambda m: "4 pictures added" in m.text)
    card = await editor_of(member, "My char")
    assert card.ephemeral
    assert "**4** of 4 pictures" in card.text
    assert "mychar, red hair, smile" in card.text
    assert "1 picture has no caption" in card.text
    assert len(card.media) == 4
    # A filter, and tags in bulk on what it leaves.
    await member.pick(card, "captionstags", ["red hair"])
    card = await redrawn(member, card, "Chosen: red hair")
    await work(member, card, 11)
    card = await redrawn(member, card, "**2** of 4", "with red hair")
    await work(member, card, 1, {"tags": "mych4r"})
    card = await redrawn(member, card, "changed in 2 pictures")
    assert captions_of(stage) == ["mych4r, mychar, red hair, smile", "mych4r, mychar, red hair, hat", "blue sky", None]
    await work(member, card, 6, {"tags": "mych4r\n\ngreen hair", "prepend": False})
    card = await redrawn(member, card, "Common tags: changed")
    assert captions_of(stage)[:2] == ["mych4r, green hair, smile", "mych4r, green hair, hat"]
    # Of two thousand long captions it takes a second, in which nobody else may wait.
    assert len(threads) == 2
    assert threading.current_thread() not in threads
    # Nothing is left of the filter, as nothing has red hair any more.
    assert "No picture is like that" in card.text
    await member.press(card, "captionsdo", 2)
    card = await redrawn(member, card, "**4** of 4", without=("with red hair",))
    await work(member, card, 7, {"search": r"(\w+) sky", "replace": r"sky of \1", "regex": True})
    card = await redrawn(member, card, "Search and replace: changed in 1")
    assert captions_of(stage)[2] == "sky of blue"
    # By hand.
    rows = stage.rows("SELECT id FROM dataset_images ORDER BY place")
    await member.pick(card, "captionsopen", [rows[3]["id"]])
    alone = await member.shown(card.id, lambda m: "no caption" in m.text and "captionsopen" not in verbs(m))
    form = await member.press(alone, "captionsdo", 7)
    await member.fill(form, {"caption": "mych4r,\nhat"})
    alone = await redrawn(member, card, "mych4r, hat")
    # The editor is where it was after a restart, and every step can be taken back.
    await stage.restart(kill=True)
    for left in (
        ["mych4r, green hair, smile", "mych4r, green hair, hat", "sky of blue", None],
        ["mych4r, green hair, smile", "mych4r, green hair, hat", "blue sky", None],
        ["mych4r, mychar, red hair, smile", "mych4r, mychar, red hair, hat", "blue sky", None],
        FOUR,
    ):
        answer = await member.press(alone, "captionsdo", 5)
        alone = await member.shown(answer, lambda m: "Undone" in m.text)
        assert captions_of(stage) == left
    assert "captionsopen" not in verbs(alone)
    await member.press(alone, "captions")
    card = await member.shown(card.id, lambda m: "captionsopen" in verbs(m))
    assert [n for n in verbs(card) if n == "captionsdo"]


async def test_tags_pages_and_a_cloud(stage):
    member = await stage.visitor()
    await captioned_set(stage, member, [f"1girl, tag {n}, tag {n + 40}, a, b, a" for n in range(20)])
    card = await editor_of(member)
    assert len(card.media) == 8
    await member.press(card, "captions", 1)
    card = await redrawn(member, card, "`8`", "tag 15", without=("tag 3,",))
    await member.press(card, "captionsdo", 3)
    card = await member.shown(card.id, lambda m: "captionsopen" not in verbs(m) and len(m.media) == 1)
    await member.press(card, "captionsdo", 10)
    card = await member.shown(
        card.id, lambda m: any("list 2 of 2" in str(c.get("placeholder")) for c in m.components())
    )
    await work(member, card, 9)
    card = await redrawn(member, card, "Duplicates: changed in 20")
    assert captions_of(stage)[0] == "1girl, tag 0, tag 40, a, b"
    await work(member, card, 8, {"by": "alphabetical", "descending": True, "keep": "1"})
    card = await redrawn(member, card, "Sorted: changed")
    assert captions_of(stage)[0] == "1girl, tag 40, tag 0, b, a"
    await refused(member, await work(member, card, 8, {"keep": "x"}), "captions_number")


async def test_automatic_tags_over_a_restart_and_back(stage):
    await captioning(stage, broken=[1])
    member = await stage.visitor()
    await captioned_set(stage, member, [None, None, "mychar", None])
    card = await editor_of(member)
    stage.painter.hold()
    form = await member.press(card, "captionsdo", 6)
    fields = {"thresholds": "0.2 0.9", "exclude": "long hair", "always": "mychar", "tagger": "_:tagger-v3"}
    answer = await member.fill(form, fields)
    await stage.painter.asked(1)
    spec = stage.painter.specs[-1]
    assert (spec.threshold, spec.character, spec.additional_tags) == (0.2, 0.9, ("mychar",))
    assert set(spec.exclude_tags) == {"long hair", "long_hair"}
    assert (spec.tagger, spec.replace_underscore) == ("tagger-v3", False)
    assert len(spec.pictures) == 3
    assert stage.painter.input(spec.pictures[0].image) == picture_bytes(0)
    await stage.restart(kill=True)
    stage.painter.release()
    done = await member.shown(answer, lambda m: "captioned" in verbs(m))
    assert done.ephemeral
    assert captions_of(stage) == ["tag 0, 1girl", None, "mychar", "tag 2, 1girl"]
    assert "2 captions written" in done.text
    assert "picture1" in done.text
    before = stage.rows("SELECT * FROM dataset_changes")
    # Delivered once more, as after a crash in the middle, it is not written once more.
    await stage.told()
    await stage.stop_bot()
    stage.execute("UPDATE jobs SET status = 'done', told_at = NULL")
    await stage.start_bot()
    await stage.told()
    assert [tuple(row) for row in stage.rows("SELECT * FROM dataset_changes")] == [tuple(row) for row in before]
    done = await member.shown(done.id)
    assert "2 captions written" in done.text
    opened = await member.press(done, "captioned", 1)
    await member.shown(opened, lambda m: "captionsdo" in verbs(m))
    await member.told(await member.press(done, "captioned", 2))
    assert captions_of(stage) == [None, None, "mychar", None]
    await refused(member, await member.press(done, "captioned", 2), "captions_undo_none")


async def test_beside_what_is_there_and_without_what_the_rules_refuse(stage):
    await captioning(stage, lambda number: "1girl, nude, hat")
    member = await stage.visitor()
    await captioned_set(stage, member, ["mychar, hat", None])
    card = await editor_of(member)
    form = await member.press(card, "captionsdo", 6)
    done = await member.shown(await member.fill(form, {"existing": "append"}), lambda m: "captioned" in verbs(m))
    assert captions_of(stage) == ["mychar, hat, 1girl", "1girl, hat"]
    assert "left out what may not stand here" in done.text
    form = await member.press(card, "captionsdo", 6)
    await refused(member, await member.fill(form, {"existing": "ignore"}), "captions_all_there")
    form = await member.press(card, "captionsdo", 6)
    stage.painter.hold()
    answer = await member.fill(form, {"existing": "overwrite"})
    waiting = await member.shown(answer, lambda m: "cancel" in verbs(m))
    await stage.studio.datasets.kept.delete(stage.rows("SELECT id FROM datasets")[0]["id"])
    stage.painter.release()
    gone = await member.shown(waiting.id, lambda m: "cancel" not in verbs(m) and "deleted" in m.text)
    assert "captioned" not in verbs(gone)


async def test_a_tagger_that_fails_is_asked_again(stage):
    await captioning(stage)
    stage.painter.fail("bad_model", tagger="tagger-v3", problem="no_tags")
    member = await stage.visitor()
    await captioned_set(stage, member, [None])
    form = await member.press(await editor_of(member), "captionsdo", 6)
    card = await member.shown(await member.fill(form), lambda m: "retry" in verbs(m))
    assert "selected_tags.csv" in card.text
    stage.painter.hold()
    waiting = await member.shown(await member.press(card, "retry"), lambda m: "cancel" in verbs(m))
    await member.press(waiting, "cancel")
    stage.painter.release()
    card = await member.shown(waiting.id, lambda m: "retry" in verbs(m))
    assert "No caption was changed" in card.text
    assert captions_of(stage) == [None]
    await member.shown(await member.press(card, "retry"), lambda m: "captioned" in verbs(m))
    assert captions_of(stage) == ["tag 0, 1girl"]


async def test_what_is_refused(stage):
    member, ann = await stage.visitor(), await stage.visitor("Ann")
    dataset = await captioned_set(stage, member, ["hat, bag", "sky"])
    card = await editor_of(member)
    editor = stage.rows("SELECT id FROM caption_editors")[0]["id"]
    await refused(ann, await press(stage, ann, "captions", editor), "captions_unknown")
    await refused(ann, await press(stage, ann, "tageditor", dataset.id), "dataset_gone")
    async with unchanged(stage, "caption_editors", "safety_events"):
        for value in ("4", "5", "11", "12"):
            answer = await press(stage, member, "captionswork", editor, values=(value,))
            await refused(member, answer, "captions_none_chosen")
        await refused(member, await work(member, card, 6), "captions_none_common")
        await refused(member, await work(member, card, 2, {"tags": " , "}), "captions_no_text")
        await refused(member, await work(member, card, 7, {"search": ""}), "captions_no_text")
        await refused(member, await work(member, card, 7, {"search": "(", "regex": True}), "captions_pattern")
        await refused(member, await work(member, card, 2, {"tags": "nude"}), "captions_refused")
        await refused(member, await work(member, card, 2, {"tags": "bikini"}), "captions_refused")
        form = await member.press(card, "captionsdo", 6)
        await refused(member, await member.fill(form, {"always": "bikini"}), "captions_untaught")
        many = ", ".join(f"t{n}" for n in range(60))
        await refused(member, await work(member, card, 2, {"tags": many}), "captions_many_tags")
        form = await member.press(card, "captionsdo", 6)
        await refused(member, await member.fill(form, {"thresholds": "2"}), "captions_threshold")
        form = await member.press(card, "captionsdo", 6)
        await refused(member, await member.fill(form, {"always": "nude"}), "content_adult")
        await refused(member, await press(stage, member, "captionsdo", editor, 5), "captions_undo_none")
        await refused(member, await press(stage, member, "captionsdo", editor, 7), "captions_picture_gone")
    form = await member.press(card, "captionsdo", 1)
    await member.fill(form, {"search": "nothing like it"})
    await redrawn(member, card, "No picture is like that")
    await refused(member, await press(stage, member, "captionsdo", editor, 6), "captions_none_shown")
    stage.execute("UPDATE datasets SET nsfw = 1")
    await refused(member, await press(stage, member, "captions", editor), "dataset_elsewhere")
    await stage.studio.datasets.kept.delete(dataset.id)
    await refused(member, await press(stage, member, "captions", editor), "captions_unknown")


@pytest.mark.parametrize("key", ["captions_busy", "captions_undo_later"])
async def test_who_comes_too_late(stage, key, monkeypatch):
    await captioning(stage)
    member = await stage.visitor()
    await captioned_set(stage, member, [None])
    card = await editor_of(member)
    if key == "captions_busy":
        monkeypatch.setattr("bot.studio.captions.replacing.WAITING_S", 0.01)
        turns = stage.studio.captions.changes._replacer._turns
        for _ in range(2):
            await turns.acquire()
        await refused(member, await work(member, card, 7, {"search": "a"}), key)
        return
    done = await member.shown(
        await member.fill(await member.press(card, "captionsdo", 6)), lambda m: "captioned" in verbs(m)
    )
    await work(member, card, 2, {"tags": "first"})
    await redrawn(member, card, "changed in 1 picture")
    await refused(member, await member.press(done, "captioned", 2), key)
