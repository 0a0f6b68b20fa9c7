"""What the operator disabled everywhere comes back only as far as somebody says so; Enable is shown where it helps."""

import pytest

from bot.domain.model_rules import EVERYWHERE, Rule, Scope, Where
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.studio.model_admin.ruling import Target
from bot.ui.codec import Address, Verb
from tests.bot.studio.admin_rig import GUILD, Talk

ADMIN, OPERATOR = Steward(3, GUILD, operator=False), Steward(1, GUILD, operator=True)


@pytest.fixture
async def off(rig):
    await rig.start()
    await rig.rules.put(Rule(EVERYWHERE, Scope.SERVER, EVERYWHERE, rig.lora().id, enabled=False))
    return rig


def everywhere(rig):
    return [rule.enabled for rule in rig.rules.of(EVERYWHERE, rig.lora().id)]


@pytest.mark.parametrize("target", [{"channel_id": 7}, {"role_id": 8}])
async def test_one_channel_or_role_does_not_bring_it_back_for_all(off, target):
    with pytest.raises(UserFacingError, match="rule_off_everywhere"):
        await off.ruling.allow(off.lora(), OPERATOR, Target(OPERATOR, **target), enabled=True)
    with pytest.raises(UserFacingError, match="rule_operator_said_no"):
        await off.ruling.allow(off.lora(), ADMIN, Target(ADMIN, **target), enabled=True)
    assert everywhere(off) == [False]
    assert off.rules.of(GUILD) == []


async def test_the_operators_button_says_that_it_brings_it_back_for_all_and_the_log_too(off):
    await off.desk.pressed(talk := Talk(), Address(Verb.MODEL_ENABLE, off.lora().id))
    assert "taken back, too" in talk.text
    assert everywhere(off) == []
    entries, _ = await off.audit.page(None, 0, 12)
    assert [(entry.action, entry.detail) for entry in entries] == [("enable", ""), ("clear", "everywhere")]


async def test_everywhere_is_everywhere(off):
    target = Target(OPERATOR, everywhere=True)
    assert not await off.ruling.allow(off.lora(), OPERATOR, target, enabled=True)
    assert everywhere(off) == [True]


async def test_no_is_said_of_one_channel_whatever_holds_everywhere(off):
    await off.ruling.allow(off.lora(), ADMIN, Target(ADMIN, channel_id=7), enabled=False)
    assert len(off.rules.of(GUILD)) == 1


@pytest.mark.parametrize(
    ("rules", "admin", "operator"),
    [
        ([], False, False),
        ([(GUILD, Scope.SERVER, GUILD, False)], True, True),
        ([(EVERYWHERE, Scope.SERVER, EVERYWHERE, False)], False, True),
        # Enable speaks of the server, and a channel's no goes before that.
        ([(GUILD, Scope.CHANNEL, 7, False)], False, False),
        ([(GUILD, Scope.CHANNEL, 9, False)], False, False),
    ],
)
async def test_enable_is_shown_where_it_helps(rig, rules, admin, operator):
    await rig.start()
    for guild, scope, target, enabled in rules:
        await rig.rules.put(Rule(guild, scope, target, rig.lora().id, enabled=enabled))
    where = Where(GUILD, 7)
    assert rig.ruling.helps(rig.lora(), ADMIN, where) == admin
    assert rig.ruling.helps(rig.lora(), OPERATOR, where) == operator
    await rig.desk.info(talk := Talk(user=3), rig.lora().id)
    assert ("modelenable:" in talk.text) == admin
    assert "modeltest:" in talk.text
