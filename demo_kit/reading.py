"""The text encoder's first lesson: to say what a caption names, before the UNet learns to draw it.

Reading costs a hundredth of drawing, and a UNet learns faster from words that already differ by what they mean. Each
question about a scene has a query of its own that attends to the tokens, as the UNet's cross-attention will.
"""

from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional

from demo_kit.device import for_machine
from demo_kit.latents import FIRST_SHARD
from demo_kit.loop import Schedule, train
from demo_kit.networks import TEXT_WIDTH, Diffusion, tokens
from demo_kit.scenes import Facts
from demo_kit.shards import facts_of
from demo_kit.words import COLOURS, LANDSCAPES, OBJECTS, POSITIONS, SHAPES, SHIRTS, STYLES

__all__ = ["teach_reading"]

_THINGS = (
    *OBJECTS, *(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES),
    *(f"person in a {colour} shirt" for colour in SHIRTS),
)  # fmt: skip
_QUESTIONS: dict[str, tuple[str | None, ...]] = {
    "first": _THINGS,
    "second": (None, *_THINGS),
    "background": (*COLOURS, *LANDSCAPES),
    "position": (None, *POSITIONS),
    "style": (None, *STYLES),
    "low": (None, "low"),
}
_SHARDS = 8


class _Reader(nn.Module):
    def __init__(self, text: nn.Module) -> None:
        super().__init__()
        self.text = text
        self.queries = nn.Parameter(torch.randn(len(_QUESTIONS), TEXT_WIDTH) / TEXT_WIDTH**0.5)
        self.answers = nn.ModuleList(nn.Linear(TEXT_WIDTH, len(choices)) for choices in _QUESTIONS.values())

    def forward(self, context: Tensor) -> list[Tensor]:
        looks = (self.queries @ context.mT).softmax(-1) @ context
        return [answer(looks[:, number]) for number, answer in enumerate(self.answers)]


def _answers(scene: Facts) -> list[int]:
    facts = (
        scene.things[0], scene.things[1] if len(scene.things) > 1 else None, scene.background, scene.position,
        scene.style, "low" if scene.low else None,
    )  # fmt: skip
    return [choices.index(fact) for choices, fact in zip(_QUESTIONS.values(), facts, strict=True)]


def teach_reading(model: Diffusion, steps: int = 400) -> None:
    """Train the model's text encoder alone, on fresh captions."""
    torch.manual_seed(26)
    reader = _Reader(model.text)

    scenes = [facts for index in range(_SHARDS) for facts in facts_of(FIRST_SHARD + index)]
    ids, answers = tokens([facts.caption for facts in scenes]), torch.tensor([_answers(facts) for facts in scenes])

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(9_000_000 + step)
        picks = torch.randint(0, len(scenes), (for_machine(64, 256),))
        wanted = answers[picks]
        said = reader(model.conditioning(ids[picks], skip=Random(step).random() < 0.25))
        losses = [functional.cross_entropy(made, wanted[:, number]) for number, made in enumerate(said)]
        right = (said[0].argmax(1) == wanted[:, 0]).float().mean()
        return torch.stack(losses).sum(), {"first thing": right}

    train("reading", reader, loss_at, Schedule(steps, 2e-3, hold=0.4, average=0.99))
