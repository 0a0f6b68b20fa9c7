"""The comparison of a training's epochs: what is drawn where, and how it is read again."""

import random
from dataclasses import replace

from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.training.comparison import WEIGHTS, Place, build_comparison, chosen_epochs, places_of
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Texts, Txt2Img

NAMES = ["zorb-000002", "zorb-000004", "zorb"]
FACTS = (
    ModelFact(kind="checkpoint", name="demo", family="sd1"),
    *(ModelFact(kind="lora", name=name, family="sd1", trained_in="job") for name in NAMES),
)
BASE = Txt2Img(
    prompt="zorb", negative_prompt="low, bad", checkpoint="demo", width=128, height=128, seed=1000, count=2,
    texts=(Texts(prompt="zorb", negative_prompt="low, bad"), Texts(prompt="zorb at the beach")),
)  # fmt: skip


def built(base=BASE, names=NAMES, limits=DEFAULT_LIMITS):
    return build_comparison(base, names, FACTS, limits, random.Random(1))


def test_epochs_by_weights_by_prompts_from_the_same_noise_and_beside_the_base():
    plot = built()
    assert plot.sizes == (4, 3, 2)
    places = places_of(plot)
    cells = {cell.index: cell.spec for cell in plot.expanded().cells}
    assert {spec.seed for spec in cells.values()} == {1000}
    assert {spec.negative_prompt for spec in cells.values()} == {"low, bad"}
    assert places.keys() == cells.keys()
    for index, spec in cells.items():
        place = places[index]
        text = ("zorb", "zorb at the beach")[place.prompt]
        assert spec.prompt == (text if place.name is None else f"{text} <lora:{place.name}:{place.weight:g}>")
    assert places[0] == Place(None, WEIGHTS[0], 0)
    assert places[23] == Place("zorb", 1.0, 1)


def test_it_keeps_within_the_bound_and_has_the_last_epoch_always():
    one = BASE.model_copy(update={"texts": (), "count": 1})
    assert built(one).sizes == (4, 3, 1)
    assert built(limits=replace(DEFAULT_LIMITS, max_script_cells=12)).sizes == (4, 3, 1)
    small = built(limits=replace(DEFAULT_LIMITS, max_script_cells=7))
    assert small.x.values == ("None", "zorb")
    many = [f"e{n}" for n in range(1, 21)]
    assert chosen_epochs(many) == ["e3", "e7", "e10", "e13", "e17", "e20"]
    assert chosen_epochs(many[:6]) == many[:6]
