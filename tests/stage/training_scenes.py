"""What tests of trainings begin with: a data set, an open desk, a worker that trains."""

from __future__ import annotations

import io

from PIL import Image

from bot.domain.ids import GuildId, UserId
from bot.domain.training.datasets import Dataset, NewPicture
from bot.playground.person import SeenMessage
from gpu_worker.protocol.specs import TRAIN_TASKS
from tests.stage.stage import Stage
from tests.stage.visitor import StageVisitor, verbs

__all__ = [
    "CAPTION", "failed", "listed", "make_dataset", "open_desk", "paused", "running", "started", "trained", "trains",
]  # fmt: skip

CAPTION = "zorb, a red disc"


async def make_dataset(
    stage: Stage,
    member: StageVisitor,
    pictures: int = 4,
    caption: str | None = CAPTION,
    name: str = "zorbs",
    size: tuple[int, int] = (64, 64),
) -> Dataset:
    """As its own commands make one, at once."""
    kept = stage.studio._kept
    user_id = UserId(int(member.user_id))
    made = await kept.datasets.create(
        user_id, name, guild_id=GuildId(stage.guild_id), consent_at=1.0, repeats=5, class_tokens="zorb"
    )
    (folder,) = await kept.datasets.folders(made.id)
    new: list[NewPicture] = []
    for n in range(pictures):
        out = io.BytesIO()
        Image.new("RGB", size, (n * 20, 90, 120)).save(out, "PNG")
        ref = await kept.inputs.keep(out.getvalue(), "image/png")
        new.append(NewPicture(ref, *size, n, f"p{n}", caption))
    await kept.datasets.add_pictures(folder.id, new, room_bytes=10**9)
    return made


async def trains(stage: Stage) -> None:
    """Its worker trains, too."""
    stage.painter.tasks = (*stage.painter.tasks, *TRAIN_TASKS)
    await stage.painter.announce()


async def open_desk(member: StageVisitor, **options: object) -> SeenMessage:
    options = {"base": "dreamy", **options}
    return await member.shown(await member.slash("general", "train start", options))


async def started(stage: Stage, member: StageVisitor, epochs: int = 2, n: int = 1) -> SeenMessage:
    """The card of a training of so many epochs, each of which is saved."""
    desk = await open_desk(member)
    form = await member.press(desk, "trainopen", 1)
    await member.fill(form, {"max_train_epochs": str(epochs)})
    desk = await member.shown(desk.id, lambda m: f"{epochs} epochs" in m.text)
    return await member.shown(await member.press(desk, "train", n), lambda m: "training" in verbs(m))


async def running(stage: Stage) -> tuple[StageVisitor, SeenMessage]:
    """One that is held in its first epoch."""
    member = await stage.visitor()
    await make_dataset(stage, member)
    await trains(stage)
    stage.painter.hold()
    card = await started(stage, member)
    await stage.painter.asked(1)
    return member, card


async def paused(stage: Stage) -> tuple[StageVisitor, SeenMessage]:
    """By its user, before a worker had it."""
    member = await stage.visitor()
    await make_dataset(stage, member)
    card = await started(stage, member)
    await member.press(card, "training", 1)
    answer = await member.slash("general", "train show")
    return member, await member.shown(answer, lambda m: "Paused by you" in m.text)


async def trained(stage: Stage) -> tuple[StageVisitor, SeenMessage]:
    """With samples of its one epoch."""
    member = await stage.visitor()
    await make_dataset(stage, member)
    await trains(stage)
    card = await started(stage, member, epochs=1)
    await member.shown(card.id, lambda m: "Trained:" in m.text)
    await stage.told()
    return member, await member.shown(card.id, lambda m: len(m.media) == 2)


async def failed(stage: Stage) -> tuple[StageVisitor, SeenMessage]:
    """In a way that lower rates mend."""
    member = await stage.visitor()
    await make_dataset(stage, member)
    await trains(stage)
    stage.painter.fail(reason="loss_not_finite", step=1)
    card = await started(stage, member)
    return member, await member.shown(card.id, lambda m: "It stopped" in m.text)


async def listed(stage: Stage) -> tuple[StageVisitor, SeenMessage]:
    member, _ = await running(stage)
    return member, await member.shown(await member.slash("general", "train list"))
