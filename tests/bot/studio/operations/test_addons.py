"""Add-ons in the running bot: the example is found on the path, its command answers, its neighbour's fault is told."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import discord
import pytest

from bot.doctor.addons import addon_checks
from bot.doctor.report import State
from bot.i18n import texts_for
from gpu_worker.language.addons import Addon, FoundAddon, added_samplers, installed_addons
from gpu_worker.protocol import messages as m

EXAMPLE = Path(__file__).resolve().parents[3] / "gpu_worker" / "addon_example"
BROKEN = """
from gpu_worker.language.addons import Addon
ADDON = Addon(title="Broken", cogs=("broken_addon_of_a_test.commands", "pincel_addon_example.commands"))
"""


def forget():
    installed_addons.cache_clear()
    added_samplers.cache_clear()
    importlib.invalidate_caches()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The example, and a package whose commands raise and then ask for a name that is taken."""
    package = tmp_path / "site" / "broken_addon_of_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(BROKEN)
    (package / "commands.py").write_text("raise RuntimeError('no luck')")
    info = package.parent / "broken_addon_of_a_test-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-addon-of-a-test\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[pincel.addons]\nzz_broken = broken_addon_of_a_test:ADDON\n")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(package.parent))
    forget()
    yield
    for name in [name for name in sys.modules if name.startswith(("pincel_addon_example", "broken_addon_of_a_test"))]:
        del sys.modules[name]
    monkeypatch.undo()
    forget()


async def test_an_addons_command_answers_and_a_broken_one_is_named_and_stops_nothing(installed, stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    assert "🎲" in await member.told(await member.slash("general", "example-dice"))
    told = await admin.told(await admin.slash("general", "addons"))
    assert "Example" in told
    assert "/example-dice" in told
    assert "RuntimeError: no luck" in told
    assert "ModuleNotFoundError" in told, "the entry point that leads nowhere"
    card = await admin.shown(await admin.slash("general", "doctor"), lambda seen: "Complementos" in seen.text)
    assert "no luck" in card.text
    assert (await member.imagine(count=1)).media, "the bot draws all the same"
    card = await member.imagine(prompt="a cat --sampler midpoint", count=1)
    assert member.spec(card)["sampler"] == "Midpoint"


async def test_commands_that_discord_refuses_are_taken_back_and_ours_are_sent(installed, stage):
    await stage.stop_bot()
    stage.execute("DELETE FROM facts WHERE key LIKE 'commands:%'")
    refusal = stage.fault("PUT", r"/commands$", 400, code=50035)
    await stage.start_bot()
    assert refusal.met == 1
    member, admin = await stage.visitor(), await stage.visitor("Admin")
    assert (await member.imagine(count=1)).media
    assert "Discord refuses its commands" in await admin.told(await admin.slash("general", "addons"))
    assert "example-dice" not in {command.name for command in stage.bot.tree.get_commands()}


async def test_what_an_addon_gave_out_is_left_to_it(stage, monkeypatch):
    asked: list[object] = []

    async def unknown(interaction):
        asked.append(interaction)

    monkeypatch.setattr(stage.studio.router, "unknown_component", unknown)

    class Pressed:
        type = discord.InteractionType.component

        def __init__(self, custom_id):
            self.data = {"custom_id": custom_id}

    await stage.bot.on_interaction(Pressed("addon:example:1"))
    assert asked == []
    await stage.bot.on_interaction(Pressed("v0:old:thing"))
    assert len(asked) == 1


def test_the_doctor_names_what_is_wrong_with_which():
    say = texts_for("en")
    fine, bad = FoundAddon("fine", "p", "1", Addon("Fine")), FoundAddon("bad", "p", "1", problem="it raised")
    heavy = FoundAddon("heavy", "p", "1", Addon("Heavy"), heavy=("torch",))
    off = FoundAddon("off", "p", "1", off=True)
    assert [check.state for check in addon_checks(say, [])] == [State.OK]
    checks = addon_checks(say, [fine, bad, heavy, off], [m.AddonFact(name="fine", problem="no torch there")])
    warned = [check.details for check in checks if check.state is State.WARN]
    assert len(warned) == 3
    assert any("it raised" in text for text in warned)
    assert any("no torch there" in text for text in warned)
    assert any("loads torch" in text for text in warned)
    assert any("off" in check.details for check in checks if check.state is State.OK)
