"""Who may use which model where: every layer, and every pair of layers that disagree."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.model_rules import EVERYWHERE, ModelDefaults, Rule, Rules, Scope, Where, defaults_at, is_enabled
from bot.domain.parameters import Parameters

GUILD, OTHER, CHANNEL, PARENT, RED, BLUE = 10, 20, 11, 12, 13, 14


@dataclass(frozen=True)
class File:
    id: str = "f"
    added_in: int | None = None


HERE = Where(GUILD, CHANNEL, frozenset({RED, BLUE}), 1, PARENT)
DIRECT = Where(None, 99, frozenset(), 1)


def rules(*said):
    """(scope, target, enabled) in GUILD; `"everywhere"` is the operator's."""
    made = []
    for scope, target, enabled in said:
        if scope == "everywhere":
            made.append(Rule(EVERYWHERE, Scope.SERVER, EVERYWHERE, "f", enabled))
        else:
            made.append(Rule(GUILD, Scope(scope), target, "f", enabled))
    return Rules.of(made)


@pytest.mark.parametrize(
    ("said", "enabled"),
    [
        ([], True),
        ([("server", GUILD, False)], False),
        ([("server", GUILD, True)], True),
        ([("everywhere", 0, False)], False),
        # The operator's no beats every yes.
        ([("everywhere", 0, False), ("server", GUILD, True), ("channel", CHANNEL, True), ("role", RED, True)], False),
        # A channel, a role, go before the server.
        ([("server", GUILD, False), ("channel", CHANNEL, True)], True),
        ([("server", GUILD, True), ("channel", CHANNEL, False)], False),
        ([("server", GUILD, False), ("role", RED, True)], True),
        ([("server", GUILD, True), ("role", RED, False)], False),
        # One of several roles is enough.
        ([("role", RED, False), ("role", BLUE, True)], True),
        ([("role", RED, False), ("role", BLUE, False)], False),
        # Channel and role disagree: the no counts, whoever says it.
        ([("channel", CHANNEL, False), ("role", RED, True)], False),
        ([("channel", CHANNEL, True), ("role", RED, False)], False),
        ([("server", GUILD, False), ("channel", CHANNEL, True), ("role", RED, True)], True),
        # A thread follows its channel, unless it has a rule of its own.
        ([("channel", PARENT, False)], False),
        ([("channel", PARENT, False), ("channel", CHANNEL, True)], True),
        ([("channel", PARENT, True), ("channel", CHANNEL, False)], False),
        # Another channel's, another role's.
        ([("channel", 77, False), ("role", 78, False)], True),
    ],
)
def test_the_operators_file_in_a_server(said, enabled):
    assert is_enabled(File(), HERE, rules(*said)) is enabled


@pytest.mark.parametrize(
    ("added_in", "where", "said", "enabled"),
    [
        (GUILD, HERE, [], True),
        (OTHER, HERE, [], False),
        (OTHER, DIRECT, [], False),
        (None, DIRECT, [], True),
        (OTHER, HERE, [("everywhere", 0, True)], True),
        (OTHER, DIRECT, [("everywhere", 0, True)], True),
        (OTHER, HERE, [("server", GUILD, True)], True),
        (OTHER, HERE, [("everywhere", 0, True), ("server", GUILD, False)], False),
        (OTHER, DIRECT, [("server", GUILD, True)], False),
        (None, DIRECT, [("server", GUILD, False)], True),
        (None, Where(OTHER, 21), [("server", GUILD, False)], True),
        (OTHER, Where(OTHER, 21), [("server", GUILD, False)], True),
    ],
)
def test_whose_file_it_is(added_in, where, said, enabled):
    assert is_enabled(File(added_in=added_in), where, rules(*said)) is enabled


@given(
    st.lists(st.tuples(st.sampled_from(["server", "channel", "role"]), st.integers(10, 15), st.booleans())),
    st.sampled_from([None, GUILD, OTHER]),
)
def test_the_operators_no_is_final_and_other_servers_rules_mean_nothing(said, added_in):
    file = File(added_in=added_in)
    assert not is_enabled(file, HERE, rules(*said, ("everywhere", 0, False)))
    elsewhere = Where(OTHER, CHANNEL, frozenset({RED}), 1)
    assert is_enabled(file, elsewhere, rules(*said)) is is_enabled(file, elsewhere, Rules())


USABLE = {"checkpoint": frozenset({"a", "b"}), "vae": frozenset({"v"})}


@pytest.mark.parametrize(
    ("given_defaults", "expected"),
    [
        ({}, Parameters()),
        ({(GUILD, 0): ModelDefaults("a", "v", 2)}, Parameters(checkpoint="a", vae="v", clip_skip=2)),
        (
            {(GUILD, 0): ModelDefaults("a", "v", 2), (GUILD, CHANNEL): ModelDefaults("b")},
            Parameters(checkpoint="b", vae="v", clip_skip=2),
        ),
        ({(GUILD, 0): ModelDefaults("a"), (GUILD, PARENT): ModelDefaults("b")}, Parameters(checkpoint="b")),
        (
            {(GUILD, CHANNEL): ModelDefaults("a"), (GUILD, PARENT): ModelDefaults("b", None, 3)},
            Parameters(checkpoint="a", clip_skip=3),
        ),
        # What is gone or disabled is passed over.
        ({(GUILD, 0): ModelDefaults("a"), (GUILD, CHANNEL): ModelDefaults("gone")}, Parameters(checkpoint="a")),
        ({(GUILD, 0): ModelDefaults("gone", "gone")}, Parameters()),
        ({(GUILD, 0): ModelDefaults(vae="None")}, Parameters(vae="None")),
        ({(OTHER, 0): ModelDefaults("a")}, Parameters()),
        ({(GUILD, 55): ModelDefaults("a")}, Parameters()),
    ],
)
def test_defaults(given_defaults, expected):
    assert defaults_at(HERE, given_defaults, USABLE) == expected


def test_no_defaults_in_direct_messages():
    assert defaults_at(DIRECT, {(GUILD, 0): ModelDefaults("a")}, USABLE) == Parameters()
