"""The diagnosis of trainings: what the bench measured is told apart, and each finding changes what the guide would."""

import io

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageEnhance

from bot.domain.training.comparison import Place
from bot.domain.training.diagnosis import MEMORISED_NEAREST, Finding, Looked, Measures, diagnosed
from bot.domain.training.measures import difference, diversity, measured
from bot.domain.training.suggestions import change_lines, suggested
from bot.domain.training.wishes import changed, first_wish
from bot.i18n import texts_for
from bot.studio.trainings.looking import compared
from bot.studio.trainings.result_rows import diagnosis_text
from gpu_worker.language.training.parameters import Parameters

GIVEN = Parameters(network_dim=16, network_alpha=8.0, unet_lr=1e-4, text_encoder_lr=5e-5, max_train_epochs=10)


def looked(name, effect=0.11, drift=1.1, spread=1.0, nearest=0.15):
    return Looked(
        name=name, effect=effect, saturation=1.0, contrast=drift, sharpness=1.0, spread=spread, nearest=nearest
    )  # fmt: skip


def of(*epochs, curve=(), base_spread=0.3, base_nearest=0.179):
    return diagnosed(Measures(epochs=epochs, base_spread=base_spread, base_nearest=base_nearest, curve=curve))


# As `python -m bench.training_findings` has measured.
GOOD = (
    looked("e1", 0.094, 1.09, 1.03, 0.144), looked("e2", 0.124, 1.11, 1.03, 0.155), looked("e3", 0.111, 1.13, 0.98),
)  # fmt: skip
SLOW = (looked("e1", 0.004, 1.0, 1.0, 0.179), looked("e2", 0.018, 1.0, 1.01, 0.176))
HIGH_RATE = (
    looked("e1", 0.189, 2.1, 1.01, 0.182), looked("e2", 0.236, 1.53, 1.0, 0.253), looked("e3", 0.314, 1.8, 0.59, 0.266),
)  # fmt: skip
TOO_LONG = (
    looked("e1", 0.126, 1.07, 1.18, 0.158), looked("e2", 0.290, 1.14, 1.12, 0.224),
    looked("e3", 0.384, 1.06, 0.50, 0.235),
)  # fmt: skip
ONE_BACKGROUND = (
    looked("e1", 0.147, 1.22, 1.10, 0.320), looked("e2", 0.298, 1.46, 0.17, 0.412),
    looked("e3", 0.415, 1.45, 0.07, 0.289),
)  # fmt: skip


@pytest.mark.parametrize(
    ("epochs", "kinds", "best"),
    [
        (GOOD, [], "e3"),
        (SLOW, ["raw"], "e2"),
        (HIGH_RATE, ["overcooked", "astray", "inflexible"], None),
        (TOO_LONG, ["astray", "inflexible"], "e1"),
        ((looked("e1"), looked("e2", nearest=0.01)), ["memorised"], "e1"),
    ],
    ids=["good", "slow", "high rate", "too long", "copies"],
)
def test_what_the_bench_measured_is_told_apart(epochs, kinds, best):
    found = of(*epochs)
    assert ([finding.kind for finding in found.findings], found.best) == (kinds, best)
    for language in ("en", "es"):
        text = diagnosis_text(found, GIVEN, texts_for(language))
        assert all(one.name in text for one in epochs)


def test_one_background_learnt_too_long_is_inflexible():
    found = of(*ONE_BACKGROUND, base_nearest=0.349)
    assert [(one.kind, one.epoch) for one in found.findings] == [
        ("overcooked", "e2"), ("astray", "e2"), ("inflexible", "e2"),
    ]  # fmt: skip
    assert (found.best, found.findings[-1].numbers["spread"]) == ("e1", 0.07)


def test_nothing_is_said_of_what_could_not_be_measured():
    alone = [looked("e1", nearest=None, spread=None)]
    assert of(*alone, base_spread=None, base_nearest=None).findings == ()
    # Prompts whose pictures are all alike without a LoRA, too.
    assert of(looked("e1", spread=0.2), base_spread=0.01).findings == ()
    assert of(curve=(0.2, 0.1)).findings == ()


def test_a_loss_that_rises_again_is_told_from_a_noisy_one():
    noisy = [0.1 + 0.03 * (step % 3) for step in range(100)]
    assert of(curve=tuple(noisy)).findings == ()
    rising = [0.2] * 20 + [0.1] * 60 + [0.25] * 20
    (finding,) = of(curve=tuple(rising)).findings
    assert (finding.kind, finding.numbers["ratio"]) == ("diverged", pytest.approx(2.5))
    assert [one.kind for one in of(curve=(*[0.1] * 20, float("nan"))).findings] == ["diverged"]


@pytest.mark.parametrize(
    ("kind", "numbers", "lines"),
    [
        ("raw", {"effect": 0.02}, ["max_train_epochs 10 → 20"]),
        ("raw", {"effect": 0.001}, ["unet_lr 0.0001 → 0.0003", "text_encoder_lr 5e-05 → 0.00015"]),
        ("overcooked", {}, ["unet_lr 0.0001 → 3.3e-05", "text_encoder_lr 5e-05 → 1.7e-05"]),
        ("astray", {}, ["unet_lr 0.0001 → 3.3e-05", "text_encoder_lr 5e-05 → 1.7e-05"]),
        ("diverged", {}, ["unet_lr 0.0001 → 3.3e-05", "text_encoder_lr 5e-05 → 1.7e-05"]),
        ("memorised", {}, ["max_train_epochs 10 → 5"]),
        ("inflexible", {}, ["network_dim 16 → 8", "network_alpha 8 → 4"]),
    ],
)
def test_each_finding_changes_what_the_guide_would(kind, numbers, lines):
    changes = suggested(Finding(kind=kind, numbers=numbers), GIVEN)
    assert change_lines(changes, GIVEN) == lines
    wish = first_wish("character").model_copy(update={"parameters": GIVEN})
    after = changed(wish, changes)  # as a desk takes it
    assert change_lines({}, after.parameters) == []
    assert all(getattr(after.parameters, key) == value for (_, key), value in changes.items())


def test_suggestions_stay_possible_at_the_ends():
    prodigy = Parameters(optimizer_type="Prodigy", unet_lr=1.0, text_encoder_lr=1.0, max_train_epochs=1)
    slower = Finding(kind="overcooked", numbers={})
    assert suggested(slower, prodigy) == {("parameters", "d_coef"): 0.33}
    assert suggested(Finding(kind="memorised", numbers={}), prodigy) == {("parameters", "d_coef"): 0.33}
    small = Parameters(network_dim=4, learning_rate=1e-4)
    assert suggested(Finding(kind="inflexible", numbers={}), small) == {("parameters", "learning_rate"): 5e-05}
    wide = Parameters(learning_rate=9.0, network_train_unet_only=True)
    assert suggested(Finding(kind="raw", numbers={"effect": 0}), wide) == {("parameters", "learning_rate"): 10.0}


# --- pictures -------------------------------------------------------------------------------------------------------


def scene(x=40, colour=(220, 40, 60), ground=(70, 130, 180)):
    picture = Image.new("RGB", (128, 128), ground)
    ImageDraw.Draw(picture).ellipse((x, 30, x + 50, 80), fill=colour)
    return picture


def png(picture, kind="PNG"):
    out = io.BytesIO()
    picture.save(out, kind, quality=85)
    return out.getvalue()


def read(picture):
    return lambda: png(picture)


def test_a_copy_is_nearer_than_anything_that_is_none():
    one = measured(scene())
    jpeg = measured(Image.open(io.BytesIO(png(scene(), "JPEG"))))
    moved = measured(ImageChops.offset(scene(), 1, 1))
    assert max(difference(one, jpeg), difference(one, moved)) < 0.02 < MEMORISED_NEAREST
    assert difference(one, measured(scene(x=70))) > MEMORISED_NEAREST
    assert diversity([one]) == 0


def test_a_comparison_is_measured_beside_the_base_and_the_data_set():
    """Epoch 1 draws what the data set shows, epoch 2 burnt and whatever the prompt is; what cannot be read is left
    out."""
    places = {
        0: Place(None, 0.5, 0), 1: Place(None, 1.0, 0), 2: Place(None, 0.5, 1),
        3: Place("e1", 1.0, 0), 4: Place("e1", 1.0, 1), 5: Place("e1", 0.5, 0),
        6: Place("e2", 1.0, 0), 7: Place("e2", 1.0, 1), 8: Place("e3", 1.0, 0),
    }  # fmt: skip
    base = (scene(20, (30, 160, 60)), scene(60, (250, 220, 40), (20, 20, 40)))
    learnt = (scene(30), scene(64, ground=(20, 20, 40)))
    burnt = ImageEnhance.Contrast(ImageEnhance.Color(scene(44)).enhance(3)).enhance(4)
    cells = {0: base[0], 1: base[0], 2: base[1], 3: learnt[0], 4: learnt[1], 6: burnt, 7: burnt}
    given = {index: read(picture) for index, picture in cells.items()} | {8: lambda: b"no picture", 5: lambda: None}
    measures = compared(places, given, [read(scene(34)), lambda: None], ["e1", "e2", "e3"], (0.1,))
    first, second = measures.epochs
    assert (first.name, second.name, measures.curve) == ("e1", "e2", (0.1,))
    assert first.effect > 0.05
    assert first.drift < 1.35 < second.drift
    assert second.spread == 0 < 0.7 < first.spread
    assert first.nearest < measures.base_nearest
