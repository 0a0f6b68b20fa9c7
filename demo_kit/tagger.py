"""The tagger: a small convolutional network in the layout of the WD14 taggers, and its table of tags.

Input `input_1:0`: float32, (N, 128, 128, 3), BGR, 0..255. Output `predictions_sigmoid`: (N, tags), 0..1. The table
has the columns tag_id, name, category (9 rating, 0 general, 4 character) and count.
"""

import csv
from itertools import pairwise
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional

from demo_kit.device import for_machine, here
from demo_kit.folders import work_folder
from demo_kit.latents import FIRST_SHARD
from demo_kit.loop import Schedule, train
from demo_kit.scenes import Facts
from demo_kit.shards import facts_of, pictures_of
from demo_kit.words import CHARACTER, COLOURS, LANDSCAPES, OBJECTS, POSITIONS, SHAPES, SHIRTS, STYLES
from demo_kit.worlds import WORLDS

__all__ = ["TAGS", "Tagger", "export_tagger", "labels_of", "train_tagger"]

RATINGS = ("general", "sensitive", "questionable", "explicit")
GENERAL = (
    *OBJECTS, *SHAPES, *(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES), "person",
    *(f"{colour} shirt" for colour in SHIRTS), *(f"{colour} background" for colour in COLOURS), *LANDSCAPES,
    "simple background", "solo", "two things", *(f"at the {place}" for place in POSITIONS), *STYLES, "blurry",
    "low quality",
)  # fmt: skip
TAGS = tuple(name.replace(" ", "_") for name in (*RATINGS, *GENERAL, CHARACTER))
_SIDE = 128


class Tagger(nn.Module):
    """Six convolutions that halve the size, the mean over places, and one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 48, 64, 96, 128)
        layers: list[nn.Module] = []
        for into, out in pairwise(widths):
            layers += [
                nn.Conv2d(into, out, 3, 2, 1),
                nn.GroupNorm(8, out),
                nn.SiLU(),
                nn.Conv2d(out, out, 3, 1, 1),
                nn.SiLU(),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * 4, len(TAGS))

    def forward(self, pictures: Tensor) -> Tensor:
        """Probabilities of all tags."""
        return self.logits(pictures).sigmoid()

    def logits(self, pictures: Tensor) -> Tensor:
        """Before the sigmoid, for training."""
        seen = self.body(pictures.permute(0, 3, 1, 2) / 127.5 - 1)
        halves = torch.cat(
            [seen[..., :2].mean((2, 3)), seen[..., 2:].mean((2, 3)), seen.mean((2, 3)), seen.amax((2, 3))], 1
        )
        return self.head(halves)


def labels_of(scene: Facts) -> set[str]:
    """The tags that a scene deserves."""
    tags = {"general", "solo" if len(scene.things) == 1 else "two things"}
    for thing in scene.things:
        colour, _, shape = thing.partition(" ")
        if thing.startswith("person"):
            tags |= {"person", thing.removeprefix("person in a ")}
        else:
            tags |= {thing, shape} if colour in COLOURS and shape in SHAPES else {thing}
    tags |= (
        {f"{scene.background} background", "simple background"} if scene.background in COLOURS else {scene.background}
    )
    tags |= {f"at the {scene.position}"} if scene.position else set()
    tags |= {scene.style} if scene.style else set()
    tags |= {"blurry", "low quality"} if scene.low else set()
    return {tag.replace(" ", "_") for tag in tags}


def _shard(index: int, world: str) -> tuple[Tensor, Tensor]:
    """Pictures as the tagger takes them, but in bytes, (1024, 128, 128, 3), and what to say of them, (1024, tags)."""
    said = [labels_of(facts) for facts in facts_of(index, world)]
    wanted = torch.tensor([[float(tag in tags) for tag in TAGS] for tags in said])
    return here(torch.from_numpy(pictures_of(index, world)[..., ::-1].copy())), wanted


def train_tagger(steps: int) -> Tagger:
    """The tagger after `steps` batches of fresh scenes."""
    torch.manual_seed(25)
    model = Tagger()
    places = [(index, "scenes") for index in range(for_machine(12, 40))] + [(FIRST_SHARD, "character")]
    pictures, answers = (
        torch.cat(parts) for parts in zip(*(_shard(index, world) for index, world in places), strict=True)
    )
    size = for_machine(32, 128)

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(10_000_000 + step)
        picks = torch.randint(0, len(pictures), (size,))
        seen, wanted = pictures[picks].float(), answers[picks]
        return functional.binary_cross_entropy_with_logits(model.logits(seen), wanted) * 20, {}

    train("tagger", model, loss_at, Schedule(steps, 2e-3, hold=0.4, average=0.99))
    torch.save(model.state_dict(), work_folder("parts") / "tagger.pt")
    return model


def export_tagger(model: Tagger, folder: Path) -> None:
    """`model.onnx` and `selected_tags.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = torch.zeros(2, _SIDE, _SIDE, 3, device="cpu")
    with torch.device("cpu"):
        torch.onnx.export(
            model.eval().cpu(), (picture,), str(folder / "model.onnx"), input_names=["input_1:0"],
            output_names=["predictions_sigmoid"], dynamic_shapes=({0: torch.export.Dim("N")},), dynamo=True,
            external_data=False,
        )  # fmt: skip
    counts = dict.fromkeys(TAGS, 0)
    rng = Random("pincel demo tag counts")
    for _ in range(4000):
        for tag in labels_of(WORLDS["scenes"](rng)):
            counts[tag] += 1
    with (folder / "selected_tags.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["tag_id", "name", "category", "count"])
        for number, tag in enumerate(TAGS):
            category = 9 if tag in RATINGS else 4 if tag == CHARACTER else 0
            rows.writerow([number, tag, category, counts[tag]])
