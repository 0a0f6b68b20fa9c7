"""What rules are about, what a test draws, what a report says, and that every card is one that Discord takes."""

import pytest

from bot.domain.model_rules import EVERYWHERE, Rule, Scope
from bot.domain.next_picture import NextPicture
from bot.domain.shelves import PAGE, Page, Shelf
from bot.domain.stewards import Steward
from bot.downloads import Download, DownloadWish
from bot.errors import UserFacingError
from bot.i18n import LANGUAGES, texts_for
from bot.storage.model_audit import Entry
from bot.studio.model_admin.download_views import ended_card, progress_card
from bot.studio.model_admin.reports import audit_card, rules_text, unused, unused_card
from bot.studio.model_admin.ruling import Target
from bot.studio.model_admin.trials import trial_options
from bot.studio.models import Models
from bot.studio.shelf_cards import Shown, details_card, facts_of, page_card
from gpu_worker.protocol.messages import ModelFact
from tests.bot.studio.library_files import model_file

GUILD = 10
ADMIN, OPERATOR = Steward(1, GUILD, operator=False), Steward(2, GUILD, operator=True)


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steward", "target", "refusal"),
    [
        (ADMIN, {"channel_id": 1, "role_id": 2}, "rule_one_target"),
        (OPERATOR, {"channel_id": 1, "everywhere": True}, "rule_one_target"),
        (ADMIN, {"everywhere": True}, "rule_operator_only"),
        (Steward(2, None, operator=True), {"role_id": 2}, "rule_server_only"),
    ],
)
def test_rules_that_cannot_be(steward, target, refusal):
    with pytest.raises(UserFacingError, match=refusal):
        Target(steward, **target)


def test_what_a_rule_is_about():
    server, everywhere = Target(ADMIN), Target(Steward(2, None, operator=True))
    assert (server.guild_id, server.scope, server.id, server.mention) == (GUILD, Scope.SERVER, GUILD, "")
    assert (everywhere.guild_id, everywhere.id) == (EVERYWHERE, EVERYWHERE)
    assert Target(ADMIN, channel_id=5).mention == "<#5>"
    assert Target(ADMIN, role_id=6).mention == "<@&6>"


# --- tests of models --------------------------------------------------------------------------------------------------

FACTS = (
    ModelFact(kind="checkpoint", name="base", family="sd1"),
    ModelFact(kind="checkpoint", name="big", family="sdxl"),
)


def fact(kind, family="sd1", problem=None):
    return ModelFact(kind=kind, name="ink", family=family, problem=problem)


@pytest.mark.parametrize(
    ("kind", "family", "expected"),
    [
        ("lora", "sd1", {"checkpoint": "base"}),
        ("lora", "sdxl", {"checkpoint": "big"}),
        ("embedding", "sd1", {"checkpoint": "base"}),
        ("vae", "sdxl", {"checkpoint": "big", "vae": "ink"}),
        ("upscaler", None, {"checkpoint": "base", "hires_upscaler": "ink", "hires_scale": 1.5}),
        ("checkpoint", "sdxl", {"checkpoint": "ink"}),
    ],
)
def test_a_model_is_tested_with_a_checkpoint_that_it_fits(kind, family, expected):
    options = trial_options(model_file(kind=kind, trigger_words=("inky",)), fact(kind, family), FACTS)
    wishes = {key: getattr(options.wishes, key) for key in expected}
    assert wishes == expected
    assert (options.wishes.count, options.wishes.steps) == (1, 12)
    assert options.loras == (("ink",) if kind == "lora" else ())
    assert options.words == {"lora": "inky", "embedding": "ink"}.get(kind, "")


@pytest.mark.parametrize(
    ("kind", "family", "problem", "refusal"),
    [
        ("lora", "sd1", "corrupt", "model_damaged"),
        ("annotator", None, None, "model_untestable"),
        ("lora", "sd2", None, "model_no_checkpoint"),
    ],
)
def test_what_cannot_be_tested(kind, family, problem, refusal):
    with pytest.raises(UserFacingError, match=refusal):
        trial_options(model_file(kind=kind), fact(kind, family, problem), FACTS)


def test_a_disabled_model_can_be_tested():
    assert trial_options(model_file(), fact("lora", problem="disabled"), FACTS).loras == ("ink",)


# --- reports ----------------------------------------------------------------------------------------------------------


def test_unused_is_what_nobody_used_or_added_since_the_largest_first():
    day = 24 * 3600.0
    now = 100 * day
    files = [
        model_file("fresh", added_at=99 * day),
        model_file("used", added_at=0, last_used_at=99 * day),
        model_file("small", added_at=0, size_bytes=1),
        model_file("large", added_at=0, last_used_at=10 * day, size_bytes=9),
        model_file("older", added_at=0, last_used_at=5 * day, size_bytes=9),
        model_file("not ours", added_at=0, read_only=True),
    ]
    assert [file.name for file in unused(files, 30, now)] == ["older", "large", "small"]


# --- every card is one that Discord takes -----------------------------------------------------------------------------

LONG = "*_~[]`@<" * 40


def fits(view):
    assert view.total_children_count <= 40
    assert view.content_length() <= 4000
    view.to_components()
    return True


@pytest.mark.parametrize("language", LANGUAGES)
def test_cards_of_the_longest_names_fit(language):
    texts = texts_for(language)
    files = [
        model_file(
            LONG[n:], id=f"id{n}", trigger_words=tuple(f"word {n} {LONG}" for n in range(40)), base=LONG, title=LONG,
            note=LONG * 9, source=f"https://a.example/{LONG}?token=secret", metadata={f"k{n}": LONG for n in range(9)},
            sha256="0" * 64, autov3="0" * 12, times_used=9**9, last_used_at=1.0, guessed=True, problem="corrupt",
            added_by=9**18,
        )
        for n in range(PAGE)
    ]  # fmt: skip
    wish = NextPicture(checkpoint=LONG, vae=LONG, upscaler=LONG, loras=(LONG,) * 8, words=("w" * 400,))
    previews = {file.id: f"{file.id}.webp" for file in files}
    shown = Shown("s" * 16, Shelf(search=LONG[:100], page=1), wish, frozenset(previews), frozenset(), previews, True)
    kinds = dict.fromkeys(("checkpoint", "vae", "lora"), 99999)
    card = page_card(shown, Page(files, 1, 1000, 8000), kinds, [f"{n} {LONG}" for n in range(60)], texts)
    assert fits(card)
    assert fits(details_card(files[0], shown, texts))
    assert "secret" not in str(details_card(files[0], shown, texts).to_components())

    entries = [Entry("rename", GUILD, GUILD, 9**18, name=LONG, kind="lora", detail=LONG, at=9e9)] * 12
    assert fits(audit_card(entries, 999, 1, GUILD, texts))
    removals = [Entry("remove", GUILD, GUILD, 1, name=LONG, kind="lora", undo_id=f"u{n}") for n in range(12)]
    assert fits(audit_card(removals, 999, 1, GUILD, texts, undoable={entry.undo_id for entry in removals}))
    assert fits(unused_card(files * 20, 1, 30, texts))
    rules = [Rule(GUILD, Scope.ROLE, 9**18, file.id, enabled=True) for file in files] * 9
    assert len(rules_text(rules, {file.id: file.name for file in files}, texts)) < 4000

    wishes = DownloadWish(f"https://a.example/{LONG}", asked_in=GUILD)
    states = ["waiting", "resolving", "downloading", "checking", "done", "failed", "cancelled"] * 2
    found = [
        Download(
            f"d{n}", wishes, state, filename=LONG, received_bytes=10**9, total_bytes=10**10, rate_bytes_s=1e7, eta_s=99,
            problem="quota_full", problem_values={"used": LONG, "quota": LONG}, file_ids=tuple(previews),
        )
        for n, state in enumerate(states)
    ]  # fmt: skip
    assert fits(progress_card(found, 9**18, texts))
    many = [Download(f"f{n}", wishes, "failed", filename=LONG, problem="quota_full",
                     problem_values={"used": LONG * 9, "quota": LONG}) for n in range(20)]  # fmt: skip
    assert fits(progress_card(many, 9**18, texts))
    by_id = {file.id: file for file in files}
    assert fits(ended_card([*many, *found], by_id, 9**18, texts, held=True, warning=texts("model_admin.over_budget")))
    assert fits(ended_card(found, by_id, 9**18, texts, held=True, warning=texts("model_admin.over_budget")))


def test_a_failure_of_another_version_is_still_a_sentence():
    failed = Download("d", DownloadWish("https://a.example/x.bin"), "failed", problem="no_such_key")
    text = str(progress_card([failed], 1, texts_for("en")).to_components())
    assert "did not work" in text
    assert "x.bin" in text


@pytest.mark.parametrize(
    ("kind", "held", "buttons"),
    [
        ("lora", False, ["modeltest"]),
        ("lora", True, ["modeltest", "modelenable"]),
        ("controlnet", False, []),
        ("controlnet", True, ["modelenable"]),
    ],
)
def test_what_was_added_has_the_buttons_that_do_something(kind, held, buttons):
    file = model_file(kind=kind)
    done = Download("d", DownloadWish("https://a.example/x"), "done", file_ids=(file.id,))
    text = str(ended_card([done], {file.id: file}, 1, texts_for("en"), held=held).to_components())
    assert [verb for verb in ("modeltest", "modelenable") if f"v1:{verb}:" in text] == buttons


def test_what_was_always_there_was_added_on_no_day():
    texts = texts_for("en")
    assert "<t:" not in facts_of(model_file("demo", added_at=0.0, last_used_at=None), texts)
    assert "<t:86400:d>" in facts_of(model_file("ink", added_at=86400.0, last_used_at=None), texts)


def test_what_a_worker_measured_is_told_and_nothing_else():
    texts = texts_for("en")
    assert "velocity (v) (measured" in facts_of(model_file("old"), texts, "v")
    assert "Prediction" not in facts_of(model_file("old"), texts)

    class Workers:
        def models(self):
            return (ModelFact(kind="checkpoint", name="old", family="sd2", prediction="v"),)

    models = Models(Workers(), library=None, rules=None)
    assert models.measured(model_file(kind="checkpoint", name="old")) == "v"
    assert models.measured(model_file(kind="lora", name="old")) is None
