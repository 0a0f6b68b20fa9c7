"""Pages of the wizard and the doctor's card: within Discord's limits in every language, and without a dead button."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.doctor.report import Check, State
from bot.domain.needed import INVITE_PERMISSIONS
from bot.i18n import LANGUAGES, texts_for
from bot.studio.operations.examining import report_card
from bot.studio.operations.setup_cards import STEPS, SetupFacts, setup_card, welcome_card
from bot.ui.codec import parse

MANY = tuple(range(10**18, 10**18 + 25))
FACTS = SetupFacts(
    guild_id=10**18, missing_here=INVITE_PERMISSIONS, missing_server=INVITE_PERMISSIONS[:2], member=True, channel_id=5,
    invite="https://discord.com/oauth2/authorize?client_id=1", draw_in=MANY, adult_in=MANY[:5], age_restricted=MANY,
    classifier="nudenet", limited=True, language="es", news_in=MANY[0], checks=("x" * 300,) * 3, finished=True,
)  # fmt: skip


def parts(view):
    pending, found = list(view.to_components()), []
    while pending:
        part = pending.pop(0)
        found.append(part)
        pending += part.get("components", [])
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", range(len(STEPS)))
@pytest.mark.parametrize("facts", [FACTS, replace(FACTS, member=False, classifier=None, adult_in=(), draw_in=())])
def test_every_page_fits_and_each_address_stands_once(language, step, facts):
    found = parts(setup_card(facts, step, texts_for(language), note="x"))
    assert len(found) <= 40
    assert sum(len(part.get("content", "")) for part in found) <= 4000
    addresses = [part["custom_id"] for part in found if "custom_id" in part]
    assert len(set(addresses)) == len(addresses)
    assert all(parse(address) for address in addresses)


def test_what_the_server_lacks_and_what_the_channel_forbids_are_told_apart():
    here = replace(FACTS, missing_here=["attach_files", "view_channel"], missing_server=["view_channel"])
    text = json.dumps(parts(setup_card(here, 0, texts_for("en"))))
    assert "On this server I lack: **View Channel**" in text
    assert "I lack: **Attach Files**" in text
    assert "oauth2" in text
    whole = replace(FACTS, missing_here=[], missing_server=[])
    text = json.dumps(parts(setup_card(whole, 0, texts_for("en"))))
    assert "every permission" in text
    assert "oauth2" not in text


def test_without_the_bot_itself_only_the_invitation_helps():
    text = json.dumps(parts(setup_card(replace(FACTS, member=False), 0, texts_for("en"))))
    assert "Only my commands are in this server" in text
    assert "I lack" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_welcome_is_said_in_every_language(language):
    assert "/imagine" in json.dumps(welcome_card(texts_for(language)).to_components())


def test_a_long_examination_shows_the_worst_first_and_says_what_it_leaves_out():
    checks = [Check("a", "A", State.OK, "fine " * 80)] * 20 + [Check("b", "B", State.FAIL, "broken", "mend it")]
    (text,) = [part["content"] for part in parts(report_card(checks, texts_for("en"))) if part["type"] == 10]
    assert len(text) <= 4000
    assert text.index("broken") < text.index("fine")
    assert "more" in text
