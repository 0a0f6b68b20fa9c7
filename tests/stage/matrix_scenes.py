"""Where each verb lives: a scene makes the card and what lies behind it, `PRESSES` says what of it is pressed.

A verb that no scene shows fails tests/stage/test_matrix_buttons.py.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bot.playground.person import SeenMessage
from tests.e2e.model_files import lora_file
from tests.stage import dataset_scenes, training_scenes
from tests.stage.captioned_sets import captioned_set, captioning, editor_of
from tests.stage.keys_given import GivenKeys
from tests.stage.matrix import describing
from tests.stage.painter import FACTS
from tests.stage.pictures_given import INFOTEXT, picture
from tests.stage.refusing import offered, press
from tests.stage.stage import Stage
from tests.stage.test_blend import ADAPTERS
from tests.stage.test_control import CONTROLS
from tests.stage.trained import trained
from tests.stage.visitor import StageVisitor, verbs

__all__ = ["PRESSES", "SCENES", "Press", "Scene"]


@dataclass(frozen=True)
class Scene:
    owner: StageVisitor
    card: SeenMessage


@dataclass(frozen=True)
class Press:
    """What is pressed of a scene's card, and what the form that it opens is filled with."""

    scene: str
    verb: str
    n: int | None = None
    values: Sequence[str] | None = None
    """Of a list; its first choices where nothing is said. `#name` is a channel."""
    opens: str | None = None
    """The verb of the form."""
    fields: Mapping[str, object] = field(default_factory=dict[str, object])
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict[str, tuple[str, bytes]])
    jobs: int = 9
    """So many jobs at most come of pressing it twice at once."""


async def _result(stage: Stage) -> Scene:
    member = await stage.visitor()
    return Scene(member, await member.imagine(count=2, seed=5, width=256, height=128))


async def _more(stage: Stage) -> Scene:
    scene = await _result(stage)
    member = scene.owner
    return replace(scene, card=await member.shown(await member.press(scene.card, "more")))


async def _region(stage: Stage) -> Scene:
    scene = await _more(stage)
    member = scene.owner
    return replace(scene, card=await member.shown(await member.press(scene.card, "region")))


async def _panel(stage: Stage) -> Scene:
    scene = await _more(stage)
    member = scene.owner
    return replace(scene, card=await member.shown(await member.press(scene.card, "tweak")))


async def _panel_as_last_time(stage: Stage) -> Scene:
    """Opened by somebody who has drawn from one."""
    scene = await _panel(stage)
    draft = next(str(c["custom_id"]).split(":")[2] for c in scene.card.components() if c.get("custom_id"))
    return replace(scene, card=await _forged(stage, scene, f"v1:revise:{draft}:1", f"v1:revise:{draft}:2"))


async def _waiting(stage: Stage) -> Scene:
    member = await stage.visitor()
    stage.painter.hold()
    return Scene(member, await member.shown(await member.begin(), lambda m: "cancel" in verbs(m)))


async def _failed(stage: Stage) -> Scene:
    member = await stage.visitor()
    stage.painter.fail()
    return Scene(member, await member.shown(await member.begin(count=1), lambda m: "retry" in verbs(m)))


async def _private(stage: Stage) -> Scene:
    member = await stage.visitor()
    return Scene(member, await member.imagine(prompt="a red apple --private", count=1))


async def _combinations(stage: Stage) -> Scene:
    member = await stage.visitor()
    await member.imagine(prompt="a cat", count=1)
    answer = await member.slash("general", "imagine", {"prompt": "a {cat|dog} at {dawn|dusk} --combinatorial"})
    return Scene(member, await member.shown(answer))


async def _info(stage: Stage) -> Scene:
    member = await stage.visitor()
    await describing(stage)
    files = {"image": ("a.png", picture(INFOTEXT))}
    return Scene(member, await member.shown(await member.slash("general", "png-info", {}, files)))


async def _info_of_several(stage: Stage) -> Scene:
    scene = await _result(stage)
    member = scene.owner
    return replace(scene, card=await member.shown(await member.context_menu(scene.card, "Picture info")))


async def _pictures_as_prompts(stage: Stage) -> Scene:
    stage.painter.facts = (*FACTS, *ADAPTERS)
    return await _info(stage)


async def _controlled(stage: Stage, page: bool) -> Scene:
    """The desk of a request with a control unit, or the unit's own page."""
    stage.painter.facts = (*FACTS, *CONTROLS)
    await stage.painter.announce()
    member = await stage.visitor()
    files = {"image": ("a.png", picture())}
    answer = await member.slash("general", "control", {"prompt": "a boat", "advanced": True}, files)
    panel = await member.shown(answer, lambda m: "control" in verbs(m))
    await member.press(panel, "control")
    desk = await member.shown(panel.id, lambda m: "controlopen" in verbs(m))
    if page:
        await member.press(desk, "control", 0)
        desk = await member.shown(desk.id, lambda m: "controlpick" in verbs(m))
    return Scene(member, desk)


async def _more_with_control(stage: Stage) -> Scene:
    stage.painter.facts = (*FACTS, *CONTROLS)
    await stage.painter.announce()
    return await _more(stage)


async def _info_with_control(stage: Stage) -> Scene:
    stage.painter.facts = (*FACTS, *CONTROLS)
    return await _info(stage)


async def _described(stage: Stage) -> Scene:
    member = await stage.visitor()
    await describing(stage, INFOTEXT)
    answer = await member.slash("general", "describe", {}, {"image": ("a.png", picture(INFOTEXT))})
    return Scene(member, await member.shown(answer, lambda m: "drawtags" in verbs(m)))


async def _history(stage: Stage) -> Scene:
    member = await stage.visitor()
    for _ in range(3):
        await member.imagine(count=4, width=64, height=64)
    return Scene(member, await member.shown(await member.slash("general", "history")))


async def _choosing(stage: Stage) -> Scene:
    scene = await _history(stage)
    await scene.owner.press(scene.card, "historychoose", 1)
    card = await scene.owner.shown(scene.card.id, lambda m: "historymark" in verbs(m))
    first = next(c for c in card.components() if "historymark" in str(c.get("custom_id")))["options"][0]["value"]
    await scene.owner.pick(card, "historymark", [first])
    return replace(scene, card=await scene.owner.shown(card.id, lambda m: "historydelete" in verbs(m)))


async def _opened(stage: Stage) -> Scene:
    member = await stage.visitor()
    drawn = await member.imagine(count=2, seed=5, width=256, height=256)
    await member.drawn(await member.press(drawn, "upscale"))
    card = await member.shown(await member.slash("general", "history"))
    await member.pick(card, "historyopen", [member.images(drawn)[0]["id"]])
    return Scene(member, await member.shown(card.id, lambda m: "historykin" in verbs(m)))


async def _deleted(stage: Stage) -> Scene:
    scene = await _opened(stage)
    await scene.owner.press(scene.card, "historydelete", 3)
    asked = await scene.owner.wait_for_message("general", lambda m: "historydelete" in verbs(m) and not m.media)
    await scene.owner.press(asked, "historydelete", 4)
    return replace(scene, card=await scene.owner.wait_for_message("general", lambda m: "historyundo" in verbs(m)))


async def _exported(stage: Stage) -> Scene:
    scene = await _history(stage)
    await scene.owner.shown(await scene.owner.press(scene.card, "historyexport"), lambda m: m.attachments)
    card = await scene.owner.shown(await scene.owner.slash("general", "history"))
    return replace(scene, card=card)


async def _exporting(stage: Stage) -> Scene:
    """One that goes on for ever: its bot was told to pack and has not begun."""
    scene = await _exported(stage)
    await changed(stage, "UPDATE exports SET state = 'packing'")
    export = stage.rows("SELECT id FROM exports")[0]["id"]
    return replace(scene, card=await _forged(stage, scene, f"v1:exportcancel:{export}"))


async def _forged(stage: Stage, scene: Scene, *custom_ids: str) -> SeenMessage:
    """The card with buttons that it has at other times."""
    rows = [{"type": 2, "style": 2, "label": custom_id[:80], "custom_id": custom_id} for custom_id in custom_ids]
    message = stage.discord.messages[int(scene.card.channel_id)][int(scene.card.id)]
    message.components = [*message.components, {"type": 1, "components": rows}]
    return await scene.owner.shown(scene.card.id)


async def _style(stage: Stage) -> Scene:
    member = await stage.visitor()
    for number in range(2):
        await member.slash("general", "style save", {"name": "Ink", "prompt": f"ink {number}, {{prompt}}"})
    return Scene(member, await member.shown(await member.slash("general", "style show", {"name": "Ink"})))


async def _style_changed(stage: Stage) -> Scene:
    scene = await _style(stage)
    await scene.owner.fill(await scene.owner.press(scene.card, "styleedit"), {"prompt": "pencil of {prompt}"})
    return replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: "styleversions" in verbs(m)))


async def _style_versions(stage: Stage) -> Scene:
    scene = await _style_changed(stage)
    await scene.owner.press(scene.card, "styleversions")
    return replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: "styleversion" in verbs(m)))


async def _style_old(stage: Stage) -> Scene:
    scene = await _style_versions(stage)
    await scene.owner.pick(scene.card, "styleversion", ["1"])
    return replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: "stylerestore" in verbs(m)))


async def _style_deleted(stage: Stage) -> Scene:
    scene = await _style(stage)
    await scene.owner.press(scene.card, "styledelete")
    return replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: "styleundo" in verbs(m)))


async def _style_shipped(stage: Stage) -> Scene:
    member = await stage.visitor()
    return Scene(member, await member.shown(await member.slash("general", "style show", {"name": "Photo@pincel"})))


async def _style_list(stage: Stage) -> Scene:
    scene = await _style(stage)
    return replace(scene, card=await scene.owner.shown(await scene.owner.slash("general", "style list")))


async def _style_import(stage: Stage) -> Scene:
    member = await stage.visitor()
    files = {"file": ("styles.csv", b"name,prompt,negative_prompt\nink,ink {prompt},blurry\n")}
    return Scene(member, await member.shown(await member.slash("general", "style import", {}, files)))


async def _style_review(stage: Stage) -> Scene:
    scene = await _style(stage)
    await scene.owner.press(scene.card, "stylepropose")
    await scene.owner.slash("general", "style save", {"name": "Oil", "prompt": "oil, {prompt}"})
    await scene.owner.slash("general", "style propose", {"name": "Oil"})
    admin = await stage.visitor("Admin")
    return Scene(admin, await admin.shown(await admin.slash("general", "style review")))


async def _settings(stage: Stage) -> Scene:
    admin = await stage.visitor("Admin")
    return Scene(admin, await admin.shown(await admin.slash("general", "settings")))


async def _settings_asked(stage: Stage) -> Scene:
    scene = await _settings(stage)
    await scene.owner.fill(await scene.owner.press(scene.card, "settingsopen", 0), {"remix": "on"})
    scene = replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: "settingsreset" in verbs(m)))
    await scene.owner.press(scene.card, "settingsreset")
    return replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: verbs(m).count("settingsreset") > 1))


async def _tags(stage: Stage) -> Scene:
    member = await stage.visitor()
    return Scene(member, await member.shown(await member.slash("general", "tags", {"prompt": "a cat"})))


async def _limits(stage: Stage) -> Scene:
    admin = await stage.visitor("Admin")
    return Scene(admin, await admin.shown(await admin.slash("general", "limits")))


async def _limits_of_a_role(stage: Stage) -> Scene:
    scene = await _limits(stage)
    role = next(r.id for r in stage.discord.guilds[stage.guild_id].roles.values() if r.name == "Moderator")
    await scene.owner.select(scene.card, "v1:safetyset:role", [str(role)])
    card = await scene.owner.shown(scene.card.id, lambda m: f"safetyedit:{role}" in str(m.raw["components"]))
    await scene.owner.fill(await scene.owner.press(card, "safetyedit", 1), {"count": "2"})
    return replace(scene, card=await scene.owner.shown(card.id, lambda m: "safetyclear" in verbs(m)))


async def _refused(stage: Stage) -> Scene:
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    admin = await stage.visitor("Admin")
    panel = await admin.shown(await admin.slash("general", "limits"))
    await admin.press(panel, "v1:safetypage:places")
    places = await admin.shown(panel.id, lambda m: "audit" in str(m.raw["components"]))
    await admin.select(places, "v1:safetyset:audit", [str(stage.channel_id("studio"))])
    await moderator.told(await moderator.slash("general", "moderation words add", {"words": "gun"}))
    return Scene(member, await member.shown(await member.slash("general", "imagine", {"prompt": "a gun"})))


async def _appealed(stage: Stage) -> Scene:
    scene = await _refused(stage)
    await scene.owner.press(scene.card, "appeal")
    moderator = await stage.visitor("Moderator")
    return Scene(moderator, await moderator.wait_for_message("studio", lambda m: "appealdecide" in verbs(m)))


async def _bans(stage: Stage) -> Scene:
    moderator = await stage.visitor("Moderator")
    for number in range(12):
        person = await stage.visitor(f"Other {number}")
        options = {"user": person.user_id, "reason": "spam"}
        await moderator.told(await moderator.slash("general", "moderation ban", options))
    return Scene(moderator, await moderator.shown(await moderator.slash("general", "moderation list")))


async def _log(stage: Stage) -> Scene:
    scene = await _bans(stage)
    return replace(scene, card=await scene.owner.shown(await scene.owner.slash("general", "moderation log")))


async def _queue_panel(stage: Stage) -> Scene:
    scene = await _waiting(stage)
    await scene.owner.begin()
    admin = await stage.visitor("Admin")
    return Scene(admin, await admin.shown(await admin.slash("general", "panel"), lambda m: "queuejobs" in verbs(m)))


async def _queue_job(stage: Stage) -> Scene:
    scene = await _queue_panel(stage)
    admin = scene.owner
    waiting = stage.rows("SELECT id FROM jobs ORDER BY created_at DESC LIMIT 1")[0]["id"]
    return replace(scene, card=await admin.shown(await admin.pick(scene.card, "queuejobs", [waiting])))


async def _admin(stage: Stage, command: str) -> Scene:
    admin = await stage.visitor("Admin")
    return Scene(admin, await admin.shown(await admin.slash("general", command)))


async def _workers(stage: Stage) -> Scene:
    """The operator's list, with the bot's own worker and a machine that was invited."""
    stage.keys = GivenKeys()
    await stage.restart()
    admin = await stage.visitor("Admin")
    await admin.told(await admin.slash("general", "workers add", {"name": "garage"}))
    return Scene(admin, await admin.shown(await admin.slash("general", "workers list")))


async def _worker(stage: Stage, machine: str, n: int | None = None) -> Scene:
    """The card of one, or what is asked below it."""
    scene = await _workers(stage)
    one = "SELECT w.id FROM machine_workers w JOIN machines m ON m.id = w.machine_id WHERE name = ?"
    row = stage.rows(one, machine)
    await scene.owner.pick(scene.card, "workerspick", [str(row[0]["id"])])
    card = await scene.owner.shown(scene.card.id, lambda m: "worker" in verbs(m))
    if n is not None:
        before = card.text
        await scene.owner.press(card, "worker", n)
        card = await scene.owner.shown(card.id, lambda m: m.text != before)
    return Scene(scene.owner, card)


async def _setup(stage: Stage, step: int) -> Scene:
    scene = await _admin(stage, "setup")
    for number in range(1, step + 1):
        before = scene.card
        await scene.owner.press(scene.card, "setup", number)
        scene = replace(scene, card=await scene.owner.shown(before.id, lambda m, before=before: m.text != before.text))
    return scene


async def _forget(stage: Stage) -> Scene:
    member = await stage.visitor()
    return Scene(member, await member.shown(await member.slash("general", "forget-me")))


async def _shelf(stage: Stage) -> Scene:
    """Of two LoRAs."""
    for name in ("inkwash", "neon"):
        lora_file(stage.settings.models_dir / "loras" / f"{name}.safetensors")
    tensor = {"emb_params": {"dtype": "F16", "shape": [1, 768], "data_offsets": [0, 1536]}}
    embedding = stage.settings.models_dir / "embeddings" / "bad-hands.safetensors"
    embedding.parent.mkdir(parents=True)
    embedding.write_bytes(struct.pack("<Q", len(json.dumps(tensor))) + json.dumps(tensor).encode() + bytes(1536))
    await stage.studio.library.refresh()
    admin = await stage.visitor("Admin")
    return Scene(admin, await admin.shown(await admin.slash("general", "loras")))


async def _shelf_of_all(stage: Stage) -> Scene:
    scene = await _shelf(stage)
    return replace(scene, card=await scene.owner.shown(await scene.owner.slash("general", "models", {})))


async def _shelf_opened(stage: Stage) -> Scene:
    scene = await _shelf(stage)
    await scene.owner.pick(scene.card, "shelfopen", [_choices(scene.card, "shelfopen")[0]])
    return replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: "shelfuse" in verbs(m)))


async def _model(stage: Stage) -> Scene:
    """With the buttons that it has while it is disabled and while it is downloaded, and that of a test of it."""
    scene = await _shelf(stage)
    admin = scene.owner
    card = await admin.shown(await admin.slash("general", "model-admin info", {"model": "inkwash"}))
    scene = replace(scene, card=card)
    file = next(str(c["custom_id"]).split(":")[2] for c in card.components() if c.get("custom_id"))
    job = admin.job(await admin.imagine(count=1))["id"]
    await changed(stage, "INSERT INTO model_tests (job_id, file_id, guild_id) VALUES (?, ?, 0)", job, file)
    await changed(
        stage,
        "INSERT INTO downloads (id, link, wish, state, created_at, changed_at) VALUES ('d1', '', '{}', 'failed', 1, 1)",
    )
    return replace(
        scene,
        card=await _forged(stage, scene, f"v1:modelenable:{file}", f"v1:testenable:{job}", "v1:downloadcancel:d1"),
    )


async def _model_removed(stage: Stage) -> Scene:
    scene = await _shelf(stage)
    answer = await scene.owner.slash("general", "model-admin remove", {"model": "neon"})
    return replace(scene, card=await scene.owner.shown(answer))


async def _model_reports(stage: Stage) -> Scene:
    scene = await _model_removed(stage)
    card = await scene.owner.shown(await scene.owner.slash("general", "model-admin disk"))
    scene = replace(scene, card=card)
    return replace(scene, card=await _forged(stage, scene, "v1:modelaudit:0:0", "v1:modelunused:1:0"))


async def changed(stage: Stage, sql: str, *values: object) -> None:
    """The database behind the bot's back, and not on its loop: it may be in the middle of a transaction."""
    await asyncio.to_thread(stage.execute, sql, *values)


def _choices(card: SeenMessage, verb: str) -> list[str]:
    found = next(c for c in card.components() if str(c.get("custom_id")).split(":")[1:2] == [verb])
    return [option["value"] for option in found["options"]]


async def _map_list(stage: Stage) -> Scene:
    scene = await _more(stage)
    return replace(scene, card=await scene.owner.shown(await scene.owner.press(scene.card, "map")))


async def _details(stage: Stage) -> Scene:
    scene = await _panel(stage)
    return replace(scene, card=await scene.owner.shown(await scene.owner.press(scene.card, "details")))


async def _detail(stage: Stage) -> Scene:
    scene = await _details(stage)
    picked = await scene.owner.pick(scene.card, "detailspick", ["face-finder"])
    return replace(scene, card=await scene.owner.shown(picked))


async def _layout(stage: Stage) -> Scene:
    member = await stage.visitor()
    options = {"prompt": "a beach", "region1": "a fox", "region2": "a robot", "count": 1}
    return Scene(member, await member.shown(await member.slash("general", "regions", options)))


async def _mapped(stage: Stage) -> Scene:
    member = await stage.visitor()
    options = {"preprocessor": "canny"}
    answer = await member.slash("general", "preprocess", options, attachments={"image": ("a.png", picture())})
    return Scene(member, await member.drawn(answer))


async def _led(stage: Stage) -> Scene:
    """As a drawing that two units led."""
    scene = await _result(stage)
    image = scene.owner.images(scene.card)[0]
    ref = {"ref": f"image:{image['id']}", "sha256": image["sha256"], "mime": image["mime"], "size_bytes": 1}
    units = [{"model": "any", "image": ref, "preprocessor": name} for name in ("canny", "invert")]
    job = scene.owner.job(scene.card)["id"]
    sql = "UPDATE jobs SET spec = json_set(spec, '$.control', json(?)) WHERE id = ?"
    await changed(stage, sql, json.dumps(units), job)
    return replace(scene, card=await offered(stage, scene.owner, "maps", job))


async def _offered_script(stage: Stage) -> Scene:
    member = await stage.visitor()
    options = {"prompt": "a street|in the rain|at night", "width": 64, "height": 64}
    return Scene(member, await member.shown(await member.slash("general", "matrix", options)))


async def _grid(stage: Stage) -> Scene:
    member = await stage.visitor()
    options = {"prompt": "a|b|c|d|e|f", "width": 64, "height": 64}
    offer = await member.shown(await member.slash("general", "matrix", options))
    return Scene(member, await member.drawn(await member.press(offer, "scriptdraw")))


async def _grid_cells(stage: Stage) -> Scene:
    scene = await _grid(stage)
    answer = await scene.owner.pick(scene.card, "scriptcells", ["25"])
    return replace(scene, card=await scene.owner.shown(answer))


async def _captions(stage: Stage) -> Scene:
    """Of a data set with a second page; one change can be undone."""
    await captioning(stage)
    member = await stage.visitor()
    dataset = await captioned_set(stage, member, [*[f"mychar, hat, tag {n}" for n in range(9)], None])
    kept = stage.studio.datasets.kept
    await kept.set_captions(dataset.id, {(await kept.pictures(dataset.id))[0].id: "mychar, hat"}, "hand")
    return Scene(member, await editor_of(member))


async def _captions_chosen(stage: Stage) -> Scene:
    scene = await _captions(stage)
    await scene.owner.pick(scene.card, "captionstags", ["hat"])
    return replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: "Chosen" in m.text))


async def _captions_alone(stage: Stage) -> Scene:
    scene = await _captions(stage)
    await scene.owner.pick(scene.card, "captionsopen", [_choices(scene.card, "captionsopen")[1]])
    return replace(scene, card=await scene.owner.shown(scene.card.id, lambda m: "captionsopen" not in verbs(m)))


async def _captioned(stage: Stage) -> Scene:
    scene = await _captions(stage)
    member = scene.owner
    answer = await member.fill(await member.press(scene.card, "captionsdo", 6))
    return replace(scene, card=await member.shown(answer, lambda m: "captioned" in verbs(m)))


async def _captioned_set(stage: Stage) -> Scene:
    scene = await _captions(stage)
    answer = await scene.owner.slash("general", "dataset show", {"name": "mychar"})
    return replace(scene, card=await scene.owner.shown(answer, lambda m: "tageditor" in verbs(m)))


async def _dataset_image(stage: Stage) -> Scene:
    scene = await _result(stage)
    await captioned_set(stage, scene.owner, [None])
    image = scene.owner.images(scene.card)[0]["id"]
    return replace(scene, card=await offered(stage, scene.owner, "datasetimage", image))


Make = Callable[[Stage], Awaitable[Scene]]


async def _training_desk(stage: Stage) -> Scene:
    member = await stage.visitor()
    await training_scenes.make_dataset(stage, member)
    return Scene(member, await training_scenes.open_desk(member))


def _training(
    begun: Callable[[Stage], Awaitable[tuple[StageVisitor, SeenMessage]]],
) -> Callable[[Stage], Awaitable[Scene]]:
    async def scene(stage: Stage) -> Scene:
        return Scene(*await begun(stage))

    return scene


def _epochs(n: int) -> Make:
    """The list of epochs, to be published or handed out, or what was found, of an admin's own training."""

    async def scene(stage: Stage) -> Scene:
        member = await stage.visitor("Admin")
        job_id = await trained(stage, member)
        found = {"findings": [{"kind": "raw", "numbers": {"effect": 0.01, "least": 0.03}}]}
        stage.execute("UPDATE trainings SET findings = ? WHERE job_id = ?", json.dumps(found), job_id)
        return Scene(member, await member.shown(await press(stage, member, "trained", job_id, n)))

    return scene


SCENES: dict[str, Make] = {
    "epochs to publish": _epochs(2), "epochs to get": _epochs(3), "findings": _epochs(4), "files to delete": _epochs(5),
    "result": _result, "more": _more, "region": _region, "panel": _panel,
    "panel as last time": _panel_as_last_time, "waiting": _waiting, "failed": _failed,
    "private": _private, "combinations": _combinations, "info": _info,
    "info of several": _info_of_several, "pictures as prompts": _pictures_as_prompts,
    "units": lambda stage: _controlled(stage, page=False), "unit": lambda stage: _controlled(stage, page=True),
    "more with control": _more_with_control, "info with control": _info_with_control,
    "described": _described, "history": _history, "choosing": _choosing, "opened": _opened, "deleted": _deleted,
    "exported": _exported, "exporting": _exporting, "style": _style, "changed style": _style_changed,
    "style versions": _style_versions, "old style": _style_old, "deleted style": _style_deleted,
    "shipped style": _style_shipped, "style list": _style_list, "style import": _style_import,
    "style review": _style_review, "settings": _settings, "settings asked": _settings_asked, "tags": _tags,
    "limits": _limits, "limits of a role": _limits_of_a_role, "refused": _refused, "appealed": _appealed,
    "bans": _bans, "log": _log, "queue panel": _queue_panel, "queue job": _queue_job, "forget": _forget,
    "shelf": _shelf, "shelf of all": _shelf_of_all, "opened shelf": _shelf_opened, "model": _model,
    "removed model": _model_removed,    "reports": _model_reports,
    "details": _details, "detail": _detail,
    "layout": _layout, "offered script": _offered_script, "grid": _grid, "grid cells": _grid_cells,
    "training desk": _training_desk, "training": _training(training_scenes.running),
    "paused training": _training(training_scenes.paused), "ended training": _training(training_scenes.trained),
    "failed training": _training(training_scenes.failed), "trainings": _training(training_scenes.listed),
    "data set": _training(dataset_scenes.shown), "data sets": _training(dataset_scenes.listed),
    "data set picture": _training(dataset_scenes.one_picture), "data set undo": _training(dataset_scenes.removed),
    "data set near": _training(dataset_scenes.nearly), "data set asked": _training(dataset_scenes.asked),
    "data set into": _training(dataset_scenes.into), "data set image": _dataset_image,
    "captions": _captions, "captions chosen": _captions_chosen, "captions alone": _captions_alone,
    "captioned": _captioned, "captioned set": _captioned_set,
    "map list": _map_list, "mapped": _mapped, "led": _led,
    "workers": _workers, "own worker": lambda stage: _worker(stage, "w1"),
    "drained worker": lambda stage: _worker(stage, "w1", 1), "remote worker": lambda stage: _worker(stage, "garage"),
    "worker to remove": lambda stage: _worker(stage, "garage", 3),
    "worker to invite": lambda stage: _worker(stage, "garage", 5),
    "doctor": lambda stage: _admin(stage, "doctor"), "usage": lambda stage: _admin(stage, "usage"),
    **{f"setup {step}": (lambda stage, step=step: _setup(stage, step)) for step in range(6)},
}  # fmt: skip

PRESSES: tuple[Press, ...] = (
    Press("result", "upscale"), Press("result", "vary", 1), Press("result", "reroll"),
    Press("result", "delete", jobs=0), Press("result", "edit", opens="editform"), Press("result", "more", jobs=0),
    Press("more", "morepicture", jobs=0), Press("more", "upscalesubtle"), Press("more", "zoom", 150),
    Press("more", "pan", 1), Press("more", "square"), Press("more", "zoomcustom", opens="zoomform"),
    Press("more", "region", jobs=0), Press("more", "favourite", jobs=0), Press("more", "tweak", jobs=0),
    Press("more", "original", jobs=0), Press("more", "style", opens="styleform", fields={"name": "Mine"}, jobs=0),
    Press("more with control", "asunit", jobs=0), Press("info with control", "findcontrol", 0, jobs=0),
    Press("units", "control", 0, jobs=0), Press("units", "control", 9, jobs=0),
    Press("units", "controlopen", 11, opens="controlform", files={"image": ("b.png", picture())}, jobs=0),
    Press("unit", "controlopen", 2, opens="controlform", fields={"weight": "0.5"}, jobs=0),
    Press("unit", "controlopen", 3, opens="controlform", jobs=0),
    Press("unit", "controlpick", 1, values=["OpenPose"], jobs=0), Press("unit", "controldo", 2, jobs=0),
    Press("more", "fix", opens="fixform"), Press("panel", "details", jobs=0),
    Press("details", "detailspick", 1, values=["face-finder"], jobs=0),
    Press("detail", "detailsopen", 1, opens="detailsform", jobs=0), Press("detail", "detailsdo", 2, jobs=0),
    Press("more", "plot", opens="plotform", fields={"x_values": "5,10"}, jobs=0),
    Press("more", "enlarge", opens="enlargeform"), Press("more", "ultimate", opens="ultimateform"),
    Press("region", "regioncells", opens="regionform"),
    Press("panel", "layout", 1, jobs=0), Press("layout", "layout", 2, jobs=0), Press("layout", "draw", jobs=1),
    Press("layout", "layout", 3, opens="layoutform", fields={"text": "a kite"}, jobs=0),
    Press("layout", "layout", 6, jobs=0), Press("layout", "layoutpick", opens="layoutform", jobs=0),
    Press("layout", "layoutshape", jobs=0),
    Press("panel", "pick", 1, jobs=0), Press("panel", "draw", jobs=1), Press("panel", "draw", 1, jobs=1),
    Press("panel", "advanced", 0, opens="advancedform", jobs=0),
    Press("panel", "pick", 5, values=["?"], opens="lookupform"), Press("panel as last time", "revise", 1, jobs=0),
    Press("waiting", "cancel", jobs=0), Press("failed", "retry"), Press("private", "publish", jobs=0),
    Press("training desk", "train", 1, jobs=1), Press("training desk", "trainpick", 2, jobs=0),
    Press("training desk", "trainopen", 1, opens="trainform", fields={"max_train_epochs": "3"}, jobs=0),
    Press("training", "training", 1, jobs=0), Press("paused training", "training", 2, jobs=0),
    Press("ended training", "training", 4, jobs=0), Press("ended training", "training", 5, jobs=0),
    Press("ended training", "trained", 1, jobs=0), Press("ended training", "trained", 2, jobs=0),
    Press("findings", "trained", 10, jobs=0), Press("files to delete", "trained", 6, jobs=0),
    Press("epochs to get", "trainedpick", jobs=0),
    Press("epochs to publish", "trainedpick", opens="trainedform", fields={"name": "Mine"}, jobs=0),
    Press("failed training", "training", 6, jobs=1), Press("trainings", "trainingpick", jobs=0),
    Press("offered script", "scriptdraw"), Press("grid", "scriptcells", values=["25"], jobs=0),
    Press("grid cells", "scriptcell", values=["26"], jobs=0),
    Press("combinations", "combine", 1, jobs=1), Press("info", "usefound", jobs=0),
    Press("info", "stylefound", opens="stylefoundform", fields={"name": "Mine"}, jobs=0),
    Press("info", "finddescribe"), Press("info", "findenlarge", opens="enlargeform"),
    Press("info", "findmap", jobs=0), Press("more", "map", jobs=0),
    Press("map list", "mapmake", 0, values=["canny"]), Press("mapped", "mapadjust", opens="mapadjustform"),
    Press("led", "maps"),
    Press("pictures as prompts", "findprompt", opens="findpromptform"), Press("info of several", "find", jobs=0),
    Press("described", "drawtags"), Press("described", "edittags", opens="edittagsform"),
    Press("described", "useseen", jobs=0), Press("history", "history", 1, jobs=0),
    Press("history", "historyopen", jobs=0), Press("history", "historyfilter", 1, jobs=0),
    Press("history", "historysearch", opens="historysearchform", fields={"words": "apple"}, jobs=0),
    Press("history", "historychoose", 1, jobs=0), Press("history", "historyexport", jobs=0),
    Press("choosing", "historymark", jobs=0), Press("choosing", "historydelete", 1, jobs=0),
    Press("opened", "historypicture", 2, jobs=0), Press("opened", "historypicture", 4, jobs=0),
    Press("opened", "historykin", jobs=0), Press("opened", "info", jobs=0),
    Press("opened", "historydelete", 3, jobs=0),
    Press("opened", "historysend", values=["img2img"], opens="historysendform"),
    Press("deleted", "historyundo", jobs=0), Press("exported", "exportpart", jobs=0),
    Press("exporting", "exportcancel", jobs=0), Press("style", "styleusual", 1, jobs=0),
    Press("style", "styleshare", jobs=0), Press("style", "stylepropose", jobs=0),
    Press("style", "styledelete", jobs=0), Press("style", "stylelist", 0, jobs=0),
    Press("style", "styleedit", opens="styleeditform", jobs=0), Press("changed style", "styleversions", jobs=0),
    Press("style versions", "styleversion", values=["1"], jobs=0), Press("style versions", "stylecard", jobs=0),
    Press("old style", "stylerestore", 1, jobs=0), Press("deleted style", "styleundo", jobs=0),
    Press("shipped style", "stylecopy", jobs=0), Press("style list", "styleopen", jobs=0),
    Press("style import", "styleimport", 1, jobs=0), Press("style review", "stylereview", jobs=0),
    Press("style review", "styledecide", 1, jobs=0), Press("settings", "settings", jobs=0),
    Press("settings", "settingsopen", 1, opens="settingsform", jobs=0),
    Press("settings asked", "settingsreset", 1, jobs=0), Press("tags", "tags", 1, jobs=0),
    Press("tags", "tagspick", jobs=0), Press("tags", "tagskind", jobs=0),
    Press("tags", "tagssearch", opens="tagssearchform", fields={"text": "hat"}, jobs=0),
    Press("tags", "tagsedit", opens="tagseditform", jobs=0), Press("tags", "tagsdo", 3),
    Press("data set", "dataset", 0, jobs=0), Press("data set", "datasetpicture", 1, jobs=0),
    Press("data set", "datasethow", opens="datasetaddform", files={"files": ("b.png", picture())}, jobs=0),
    Press("data set", "datasetexport", jobs=0),
    Press("data set", "datasettrain", jobs=0),
    Press("data set", "datasetchoose", 1, opens="datasetchooseform", fields={"pictures": ["1. picture9"]}, jobs=0),
    Press("data set", "datasetfolder", opens="datasetfolderform", fields={"repeats": "7"}, jobs=0),
    Press("data set", "datasetdelete", jobs=0), Press("data set asked", "datasetdelete", 1, jobs=0),
    Press("data sets", "datasetopen", jobs=0),
    Press("data sets", "datasetnew", opens="datasetform", fields={"name": "Ada", "consent": True}, jobs=0),
    Press("data set picture", "datasetmove", jobs=0), Press("data set picture", "datasetremove", jobs=0),
    Press("data set undo", "datasetundo", jobs=0), Press("data set near", "datasetnear", 1, jobs=0),
    Press("data set near", "datasetnearpick", jobs=0), Press("data set into", "datasetinto", jobs=0),
    Press("data set image", "datasetimage", jobs=0),
    Press("data set into", "datasetnew", opens="datasetform", fields={"name": "Ada", "consent": True}, jobs=0),
    Press("opened", "historydataset", 2, opens="datasetform", fields={"name": "Ada", "consent": True}, jobs=0),
    Press("captioned set", "tageditor", jobs=0), Press("captions", "captions", 1, jobs=0),
    Press("captions", "captionsopen", jobs=0), Press("captions", "captionstags", jobs=0),
    Press("captions", "captionswork", values=["1"], opens="captionsform", fields={"tags": "mych4r"}, jobs=0),
    Press("captions chosen", "captionswork", values=["4"], jobs=0),
    Press("captions", "captionsdo", 5, jobs=0),
    Press("captions", "captionsdo", 6, opens="captionsform"),
    Press("captions alone", "captionsdo", 7, opens="captionsform", fields={"caption": "a hat"}, jobs=0),
    Press("captioned", "captioned", 1, jobs=0), Press("captioned", "captioned", 2, jobs=0),
    Press("limits", "safetypage", jobs=0), Press("limits", "safetyset", values=["@Moderator"], jobs=0),
    Press("limits", "safetyedit", 1, opens="safetyform", fields={"count": "2"}, jobs=0),
    Press("limits of a role", "safetyclear", jobs=0), Press("refused", "appeal", jobs=0),
    Press("appealed", "appealdecide", 1, jobs=0), Press("bans", "banlist", 1, jobs=0),
    Press("log", "safetylog", 1, jobs=0), Press("queue panel", "queuepanel", 1, jobs=0),
    Press("queue panel", "queuepanel", 5, jobs=0), Press("queue panel", "queuejobs", jobs=0),
    Press("queue job", "queuemove", 1, jobs=0), Press("queue job", "queuedrop", jobs=0),
    Press("forget", "forget", opens="forgetform", fields={"word": "no"}, jobs=0),
    Press("shelf of all", "shelfkind", jobs=0), Press("shelf", "shelfbase", jobs=0),
    Press("shelf", "shelfopen", jobs=0), Press("shelf", "shelfrefresh", jobs=0),
    Press("shelf", "shelfsearch", opens="shelfsearchform", jobs=0), Press("opened shelf", "shelf", jobs=0),
    Press("opened shelf", "shelfuse", 1, jobs=0), Press("model", "modeltest"), Press("model", "modelenable", jobs=0),
    Press("model", "testenable", jobs=0), Press("model", "downloadcancel", jobs=0),
    Press("removed model", "modelundo", jobs=0), Press("reports", "trashempty", jobs=0),
    Press("reports", "modelaudit", 0, jobs=0), Press("reports", "modelunused", 0, jobs=0),
    Press("workers", "workers", 0, jobs=0), Press("workers", "workerspick", jobs=0),
    Press("own worker", "worker", jobs=0), Press("own worker", "worker", 1, jobs=0),
    Press("drained worker", "worker", 2, jobs=0), Press("remote worker", "worker", 3, jobs=0),
    Press("remote worker", "worker", 5, jobs=0), Press("worker to remove", "worker", 4, jobs=0),
    Press("worker to invite", "worker", 6, jobs=0),
    Press("doctor", "examine", jobs=0), Press("usage", "usage", 30, jobs=0), Press("setup 0", "setup", 1, jobs=0),
    Press("setup 1", "setupchannels", 1, values=["#studio"], jobs=0), Press("setup 2", "setupadult", 1, jobs=0),
    Press("setup 3", "setuplanguage", jobs=0), Press("setup 5", "setuptest"),
)  # fmt: skip
