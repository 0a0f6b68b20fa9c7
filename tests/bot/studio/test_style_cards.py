"""What is shown of styles fits a message, however many and long they are."""

from types import SimpleNamespace

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.shipped_styles import SHIPPED, shipped_styles
from bot.domain.style_files import ReadStyles, Refused
from bot.domain.style_names import KeptStyle, StyleOwner, StyleVersion, labelled
from bot.domain.styles import Style, StyleParameters
from bot.i18n import LANGUAGES, texts_for
from bot.storage.style_proposals import Proposal
from bot.studio.styles.cards import (
    Differences,
    Right,
    described,
    import_card,
    list_card,
    proposal_card,
    style_card,
    version_card,
    versions_card,
)
from bot.studio.styles.rights import rights_on

NAMES = st.text(alphabet="*_~ab 🍎", min_size=1, max_size=60)
STYLES = st.builds(
    Style,
    name=NAMES,
    prompt=st.text(alphabet="*[]@<a\n", max_size=6000),
    negative_prompt=st.text(max_size=6000),
    parameters=st.builds(StyleParameters, checkpoint=st.none() | st.text(max_size=200), steps=st.none() | st.just(9)),
)


def text_of(view):
    return "\n".join(item.content for item in view.walk_children() if isinstance(item, discord.ui.TextDisplay))


def check(view):
    text = text_of(view)
    assert 1 <= len(text) <= 4000
    assert "@everyone" not in text
    assert view.total_children_count <= 40
    view.to_components()
    return text


def keep(style, n=1):
    return KeptStyle(str(n), StyleOwner.user(5), style, 3)


@settings(deadline=None, max_examples=60)
@given(st.lists(STYLES, min_size=1, max_size=30, unique_by=lambda style: style.name))
def test_any_styles_fit_every_card(styles):
    rights = frozenset(Right)
    kept = [keep(style, n) for n, style in enumerate(styles, 1)]
    proposals = [Proposal(n, 9, 5, style, "waiting") for n, style in enumerate(styles, 1)]
    read = ReadStyles(tuple(styles), tuple(Refused(n, "x" * 80, "style_empty", {}) for n in range(1, 300)))
    for language in LANGUAGES:
        texts = texts_for(language)
        labels = labelled([*kept, *shipped_styles()])
        for page in range(4):
            check(list_card(labels, page, proposals[:10], texts))
        check(style_card(styles[0].name, kept[0], rights, texts, usual=True, note="x" * 100))
        versions = [StyleVersion(n, style, 5, 1000.0) for n, style in enumerate(styles[:20], 1)]
        check(versions_card(kept[0], versions, texts))
        check(version_card(kept[0], versions[0], texts))
        check(import_card("a" * 16, read, Differences(styles, styles, styles), texts))
        check(proposal_card(9, proposals, 3, kept[0], texts, "x" * 100))


def test_only_what_was_set_is_shown():
    parameters = StyleParameters(steps=9, cfg_scale=5.5, seed=4231489852)
    text = described(Style(name="Ink", prompt="ink", parameters=parameters), texts_for("en"))
    assert text.splitlines()[-1] == "-# steps 9 · cfg scale 5.5 · seed 4231489852"


@pytest.mark.parametrize(
    ("owner", "manages", "rights"),
    [
        (StyleOwner.user(5), False, {Right.EDIT, Right.DELETE, Right.PROPOSE}),
        (StyleOwner.user(6), True, set()),
        (StyleOwner.server(9), False, {Right.COPY}),
        (StyleOwner.server(9), True, {Right.COPY, Right.EDIT, Right.DELETE}),
        (StyleOwner.server(8), True, set()),
        (SHIPPED, True, {Right.COPY}),
    ],
)
def test_who_may_do_what(owner, manages, rights):
    user_in_server = SimpleNamespace(user=SimpleNamespace(id=5), guild_id=9)
    stewards = SimpleNamespace(manages=lambda _: object() if manages else None)
    kept = KeptStyle("1", owner, Style(name="Ink", prompt="ink"), 1)
    assert rights_on(kept, user_in_server, stewards) == rights


def test_whoever_has_no_right_sees_no_button_for_it():
    kept = keep(Style(name="Ink", prompt="ink"))
    view = style_card("Ink", kept, frozenset(), texts_for("en"), usual=False)
    ids = [str(getattr(item, "custom_id", "")) for item in view.walk_children()]
    assert not [id_ for id_ in ids if any(f":style{verb}:" in id_ for verb in ("edit", "delete", "copy", "propose"))]
