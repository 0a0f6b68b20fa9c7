"""What admins and operators ask for and do not get: one private sentence, and nothing has changed."""

import asyncio

import pytest

from bot.domain.queue_rules import GateState
from bot.storage.queue_gates import ALL_SERVERS
from bot.studio import wildcard_desk
from tests.e2e.model_files import lora_file
from tests.stage.refusing import press, refused, unchanged

GONE = "zzzzzzzzzzzzzzzz"
LINK = "https://models.example/a.safetensors"


@pytest.fixture
async def shelved(make_stage, tmp_path):
    """A server whose operator is somebody else, with three files of that operator's."""
    models = tmp_path / "stage" / "data" / "models"
    for name in ("loras/ink.safetensors", "loras/two/twin.safetensors", "loras/three/TWIN.safetensors"):
        lora_file(models / name)
    stage = await make_stage(operators=frozenset({1}))
    await stage.studio.library.refresh()
    return stage


@pytest.fixture
async def admin(shelved):
    return await english(shelved)


async def english(stage):
    admin = await stage.visitor("Admin")
    await admin.set_locale("en-US")
    return admin


MODELS = (
    ("add", {}, "add_nothing"),
    ("add", {"links": " ".join(f"https://m.example/{n}.safetensors" for n in range(11))}, "add_too_many"),
    ("add", {"links": f"{LINK} {LINK}2", "name": "x"}, "add_one_name"),
    ("add", {"links": LINK, "sha256": "12"}, "add_sha256"),
    ("install", {"name": "zzzzzz"}, "catalogue_unknown"),
    ("remove", {"model": "zzz"}, "model_unknown"),
    ("remove", {"model": "ink"}, "model_of_operator"),
    ("remove", {"model": "Twin"}, "model_ambiguous"),
    ("test", {"model": "ink"}, "model_not_ready"),
    ("rules", {"clear": True}, "rules_clear_which"),
    ("convert", {"model": "ink", "vae": "soft"}, "convert_vae"),
    ("convert", {"model": "ink", "name": "///"}, "convert_name"),
    ("merge", {"first": "dreamy", "second": "dreamy"}, "merge_same"),
    ("merge", {"first": "dreamy", "second": "photo-xl"}, "convert_no_model"),
)


async def test_models(shelved, admin):
    async with unchanged(shelved):
        for command, options, key in MODELS:
            await refused(admin, await admin.slash("general", f"model-admin {command}", options), key)
        await refused(admin, await press(shelved, admin, "modelundo", GONE[:10]), "undo_over")


async def test_without_any_model_file(stage):
    admin = await english(stage)
    async with unchanged(stage):
        await refused(admin, await admin.slash("general", "model-admin remove", {"model": "x"}), "model_none")


async def test_models_of_another_server_and_other_peoples_removals(shelved, admin):
    for file in shelved.studio.library.files():
        await asyncio.to_thread(
            shelved.execute,
            "INSERT OR REPLACE INTO library_records (id, added_by, added_in) VALUES (?, 7, 99)",
            file.id,
        )
    await shelved.studio.library.load()
    await asyncio.to_thread(
        shelved.execute,
        "INSERT INTO model_audit (at, guild_id, owner_id, user_id, action, name, kind, undo_id) "
        "VALUES (1, 99, 99, 7, 'remove', 'x', 'lora', 'abcdefghij')",
    )
    async with unchanged(shelved):
        await refused(admin, await admin.slash("general", "model-admin remove", {"model": "ink"}), "model_of_server")
        await refused(admin, await press(shelved, admin, "modelundo", "abcdefghij"), "not_your_removal")


OPERATIONS = (
    ("panel", {"everything": True}, "operator_alone"),
    ("usage", {"everything": True}, "operator_alone"),
    ("backup", {}, "operator_alone"),
    ("settings", {"level": "operator"}, "setting_operator"),
    ("starboard threshold", {"people": 2}, "starboard_off"),
    ("starboard off", {}, "starboard_off"),
    ("wildcards remove", {"file": "zzz.txt"}, "wildcard_file_none"),
)


async def test_operations(shelved, admin):
    async with unchanged(shelved):
        for command, options, key in OPERATIONS:
            await refused(admin, await admin.slash("general", command, options), key)
        closed = {"channel": str(shelved.channel_id("announcements"))}
        await refused(admin, await admin.slash("general", "starboard channel", closed), "starboard_channel_closed")
        await refused(admin, await admin.slash("announcements", "panel"), "panel_permissions", "announcements")
        for verb, n, values, key in (
            ("queuepanel", 1, (), "panel_gone"),
            ("queuemove", 1, (), "panel_job_over"),
            ("queuedrop", None, (), "panel_job_over"),
        ):
            await refused(admin, await press(shelved, admin, verb, GONE, n, values=values), key)
        away = await press(shelved, admin, "settings", "c1")
        await refused(admin, away, "setting_channel")
        await refused(admin, await press(shelved, admin, "settings", "u1"), "setting_not_yours")


async def test_the_operators_own(stage):
    admin = await english(stage)
    async with unchanged(stage, "admin_audit"):
        await refused(admin, await admin.slash("general", "panel", {"everything": True}), "panel_open_channel")
        since = await admin.slash("general", "prompt-log", {"since": "soonish"})
        await refused(admin, since, "moment_unreadable")
        await refused(admin, await admin.slash("dm", "setup"), "setup_server_only", "dm")
        files = {"file": ("a.txt", b"x")}
        await refused(admin, await admin.slash("dm", "wildcards add", {}, files), "wildcards_in_server", "dm")


UNWRITABLE = (("prompt-logs", "prompt-log", "export_failed"), ("backups", "backup", "backup_failed"))


@pytest.mark.parametrize(("folder", "command", "key"), UNWRITABLE)
async def test_a_file_that_cannot_be_written(stage, folder, command, key):
    admin = await english(stage)
    place = stage.settings.data / folder
    place.write_bytes(b"a file where a folder should be")
    async with unchanged(stage, "admin_audit"):
        await refused(admin, await admin.slash("general", command), key)
    assert place.read_bytes().startswith(b"a file")


async def test_a_server_that_runs_dry_takes_no_job(stage):
    admin, member = await english(stage), await stage.visitor()
    gates = stage.studio.gates
    for place, key in ((stage.guild_id, "draining_server"), (ALL_SERVERS, "draining")):
        await gates.put(place, GateState.DRAINING, int(admin.user_id))
        async with unchanged(stage):
            await refused(member, await member.slash("general", "imagine", {"prompt": "a cat"}), key)


WILDCARDS = (
    ("values.exe", b"red", "wildcard_file_kind"),
    ("empty.txt", b"\n", "wildcard_file_empty"),
    ("long.txt", b"red\n" * 300_000, "wildcard_file_large"),
)


async def test_files_of_wildcards(stage, monkeypatch):
    admin = await english(stage)
    async with unchanged(stage):
        for name, data, key in WILDCARDS:
            await refused(admin, await admin.slash("general", "wildcards add", {}, {"file": (name, data)}), key)
        monkeypatch.setattr(wildcard_desk, "FILES_MAX", 0)
        answer = await admin.slash("general", "wildcards add", {}, {"file": ("a.txt", b"red")})
        await refused(admin, answer, "wildcard_files_many")
    assert not [*(stage.settings.data / "wildcards").rglob("*.txt")]


async def test_members_change_nothing_of_a_servers(stage):
    member = await stage.visitor()
    async with unchanged(stage):
        await refused(member, await press(stage, member, "settings", f"s{stage.guild_id}"), "setting_admins")
        await refused(member, await press(stage, member, "shelfrefresh", GONE), "shelf_unknown")
