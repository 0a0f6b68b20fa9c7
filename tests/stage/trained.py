"""A training that is over, with real files, put straight where a worker's would end up."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from bot.domain.ids import ChannelId, GuildId, JobId, UserId, new_job_id
from bot.domain.job import Action, Lane, NewJob, NewTraining
from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules
from gpu_worker.protocol.specs import ImageRef, Train, TrainDataset, TrainImage, TrainSubset
from tests.gpu_worker.language.test_models import KOHYA, write

__all__ = ["trained"]


async def trained(
    stage: Any,
    member: Any,
    *,
    name: str = "zorb",
    epochs: int = 3,
    dataset: str = "",
    curve: tuple[float, ...] = (0.2, 0.1, 0.1, 0.1, 0.1),
    samples: tuple[str, ...] = ("zorb", "zorb at the beach"),
    direct: bool = False,
) -> JobId:
    """Of `member`, in the server unless `direct`; its files are `zorb-000001`, …, `zorb`."""
    kept = stage.studio._kept
    picture = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=9)
    subset = TrainSubset(
        name="10_zorb", num_repeats=10, rules=SubsetRules(), images=(TrainImage(image=picture, caption="zorb"),)
    )
    spec = Train(
        checkpoint="dreamy",
        output_name=name,
        datasets=(TrainDataset(rules=DatasetRules(), subsets=(subset,)),),
        parameters=Parameters(
            seed=1, network_dim=16, network_alpha=8.0, unet_lr=1e-4, text_encoder_lr=5e-5, max_train_epochs=epochs
        ),
    )
    job_id = new_job_id()
    new = NewJob(
        id=job_id,
        action=Action.TRAIN,
        user_id=UserId(int(member.user_id)),
        channel_id=ChannelId(stage.channel_id("general")),
        guild_id=None if direct else GuildId(stage.guild_id),
        locale="en-US",
        task=spec,
        lane=Lane.TRAINING,
        training=NewTraining(dataset_id=dataset, preset="character", trigger_words="zorb", samples=samples),
    )
    await kept.jobs.add(new)
    # Before a worker could be given it.
    stage.execute("UPDATE jobs SET status = 'delivered', finished_at = ?, told_at = ? WHERE id = ?",
                  time.time(), time.time(), job_id)  # fmt: skip
    for epoch in range(1, epochs + 1):
        label = name if epoch == epochs else f"{name}-{epoch:06}"
        source = Path(stage.settings.data) / "made" / f"{label}.safetensors"
        write(source, KOHYA, metadata={"ss_output_name": name})
        data = source.read_bytes()
        await kept.trainings.keep_file(
            job_id, name=label, epoch=epoch, step=10 * epoch, final=epoch == epochs, loss=0.1, source=source,
            sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data),
        )  # fmt: skip
        stage.studio.trained.keeping.saved(job_id, label)
    await kept.trainings.note_progress(job_id, 10 * epochs, 10 * epochs, curve)
    await stage.studio.trained.keeping.settled()
    return job_id
