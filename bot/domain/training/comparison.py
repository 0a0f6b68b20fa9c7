"""The guide's comparison of a training: each epoch by several weights, from the same noise, beside the base alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bot.domain.limits import Limits
from bot.domain.models import NONE
from bot.domain.plots.build import AxisWish, PlotWishes, build_plot
from bot.domain.plots.lora_axes import LORA, LORA_WEIGHT
from bot.domain.scripts import Plot
from gpu_worker.language.plots import joined_values
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Txt2Img

__all__ = ["WEIGHTS", "Place", "build_comparison", "chosen_epochs", "places_of"]

WEIGHTS = (0.5, 0.75, 1.0)
EPOCHS_MAX = 6
PROMPTS_MAX = 3


@dataclass(frozen=True, slots=True)
class Place:
    """What a cell of a comparison shows. `name` None: the base alone, whatever the weight."""

    name: str | None
    weight: float
    prompt: int


def chosen_epochs(names: Sequence[str], most: int = EPOCHS_MAX) -> list[str]:
    """At most that many of the files, in the order of training: spread evenly, the last always among them."""
    if len(names) <= most:
        return list(names)
    step = len(names) / most
    return [names[round(step * (at + 1)) - 1] for at in range(most)]


def build_comparison(
    base: Txt2Img, names: Sequence[str], facts: Sequence[ModelFact], limits: Limits, rng: Random
) -> Plot:
    """`base` as `build_samples` makes it, of whose texts three at most are drawn. Columns are the base alone and the
    epochs, rows the weights, pages the texts; fewer of both where the bound on cells asks for it.

    Raises UserFacingError as `build_plot`.
    """
    prompts = [own.prompt for own in base.texts][:PROMPTS_MAX] or [base.prompt]
    prompts = list(dict.fromkeys(prompts))
    epochs = chosen_epochs(names)
    while len(prompts) > 1 and _cells(epochs, prompts) > limits.max_script_cells:
        prompts.pop()
    while len(epochs) > 1 and _cells(epochs, prompts) > limits.max_script_cells:
        epochs = chosen_epochs(epochs, len(epochs) - 1)
    x = AxisWish(LORA, joined_values([NONE, *epochs]))
    y = AxisWish(LORA_WEIGHT, ", ".join(f"{weight:g}" for weight in WEIGHTS))
    z = AxisWish("Prompt S/R", joined_values(prompts)) if len(prompts) > 1 else AxisWish()
    negative = base.texts[0].negative_prompt if base.texts else base.negative_prompt
    one = base.model_copy(update={"prompt": prompts[0], "negative_prompt": negative, "texts": (), "count": 1})
    return build_plot(one, PlotWishes((x, y, z)), facts=facts, limits=limits, rng=rng)


def places_of(plot: Plot) -> dict[int, Place] | None:
    """What is where; None for a plot that is no comparison, which anybody may put together otherwise."""
    if (plot.x.type, plot.y.type) != (LORA, LORA_WEIGHT) or plot.x.values[0] != NONE:
        return None
    columns, rows, pages = plot.sizes
    found: dict[int, Place] = {}
    for page in range(pages):
        for row in range(rows):
            for column in range(columns):
                name = None if column == 0 else str(plot.x.values[column])
                weight = plot.y.values[row]
                assert isinstance(weight, int | float)
                found[column + row * columns + page * columns * rows] = Place(name, float(weight), page)
    return found


def _cells(epochs: Sequence[str], prompts: Sequence[str]) -> int:
    return (len(epochs) + 1) * len(WEIGHTS) * len(prompts)
