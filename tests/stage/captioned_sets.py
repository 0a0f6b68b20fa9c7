"""Data sets with captions, and a worker that writes some."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Sequence

from PIL import Image

from bot.domain.ids import GuildId, UserId
from bot.domain.training.datasets import Dataset, NewPicture
from bot.playground.person import SeenMessage
from gpu_worker.protocol.results import TEXT_MIME, Captioned, Captions
from gpu_worker.protocol.specs import Caption
from tests.stage.painter import Drawn
from tests.stage.stage import Stage
from tests.stage.visitor import StageVisitor, verbs

__all__ = ["captioned_set", "captioning", "captions_of", "editor_of", "picture_bytes"]


def picture_bytes(number: int) -> bytes:
    """A picture like no other of its set."""
    out = io.BytesIO()
    noise = random.Random(number).randbytes(12 * 8 * 3)
    Image.frombytes("RGB", (12, 8), noise).resize((96, 64), Image.Resampling.NEAREST).save(out, "PNG")
    return out.getvalue()


async def captioned_set(
    stage: Stage, member: StageVisitor, captions: Sequence[str | None], name: str = "mychar"
) -> Dataset:
    """One that is there, however it came there."""
    kept = stage.studio.datasets.kept
    dataset = await kept.create(
        UserId(int(member.user_id)), name, guild_id=GuildId(stage.guild_id), consent_at=time.time(),
        class_tokens="girl", nsfw=False,
    )  # fmt: skip
    folder = (await kept.folders(dataset.id))[0]
    new: list[NewPicture] = []
    for number, caption in enumerate(captions):
        ref = await stage.studio._kept.inputs.keep(picture_bytes(number), "image/png")  # pyright: ignore[reportPrivateUsage]
        new.append(NewPicture(ref, 96, 64, number, f"picture{number}", caption, "upload"))
    await kept.add_pictures(folder.id, new, room_bytes=10**9)
    return dataset


async def editor_of(member: StageVisitor, name: str = "mychar") -> SeenMessage:
    answer = await member.slash("general", "dataset tags", {"name": name})
    return await member.shown(answer, lambda card: "captionsdo" in verbs(card))


def captions_of(stage: Stage) -> list[str | None]:
    rows = stage.rows("SELECT caption FROM dataset_images WHERE removed_at IS NULL ORDER BY place")
    return [row["caption"] for row in rows]


async def captioning(
    stage: Stage, write: Callable[[int], str] = lambda number: f"tag {number}, 1girl", broken: Sequence[int] = ()
) -> None:
    """Its worker captions, too: `write` by the place of the picture in the job; those in `broken` it cannot read."""

    def answer(spec: Caption) -> list[Drawn]:
        found = [
            Captioned(id=one.id, problem="unreadable")
            if number in broken
            else Captioned(id=one.id, caption=write(number), scores=tuple(0.9 for _ in write(number).split(",")))
            for number, one in enumerate(spec.pictures)
        ]
        return [Drawn(Captions(pictures=tuple(found)).model_dump_json().encode(), 0, 0, 0, "", TEXT_MIME)]

    stage.painter.tasks = (*stage.painter.tasks, "caption")
    stage.painter.answers["caption"] = answer
    await stage.painter.announce()
