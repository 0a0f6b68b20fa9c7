"""Wires the way of a job from the queue to its user's card."""

from __future__ import annotations

from collections.abc import Callable

import discord

from bot.delivery.deliver import Deliverer
from bot.delivery.machine import Machine
from bot.delivery.ping import Pinger
from bot.delivery.post import Poster
from bot.delivery.progress import CardEditor
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.needs import ModelNeeds
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SpecResolver
from bot.dispatch.stored_sources import StoredSources
from bot.domain.ids import JobId
from bot.inspection import Inspection, Looker
from bot.library import Library
from bot.studio.fetchable import saved_lora, sources_of
from bot.studio.live_catalogue import LiveCatalogue
from bot.studio.preview_wishes import PreviewWishes
from bot.studio.safety.results import PictureJudge
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.opened import StudioParts
from gpu_worker.protocol.messages import Progress
from gpu_worker.protocol.nats.subjects import is_embedded_name

__all__ = ["LineParts"]


class _Relay:
    """The dispatcher's listener: results to the deliverer, progress to the cards, sheets to their script."""

    def __init__(self, editor: CardEditor, deliverer: Deliverer) -> None:
        self.scripts: Callable[[JobId], None] | None = None
        self.trained: Callable[[JobId, str], None] | None = None
        """Hears of each file that a training saves."""
        self.also: list[Callable[[JobId], None]] = []
        """Who else hears of every job that has ended."""
        self._editor = editor
        self._deliverer = deliverer

    def progressed(self, progress: Progress) -> None:
        self._editor.progressed(progress)

    def queue_changed(self) -> None:
        self._editor.queue_changed()

    def ended(self, job_id: JobId) -> None:
        self._deliverer.ended(job_id)
        if self.scripts is not None:
            self.scripts(job_id)
        for hear in self.also:
            hear(job_id)

    def saved(self, job_id: JobId, name: str) -> None:
        if self.trained is not None:
            self.trained(job_id, name)


class LineParts:
    def __init__(
        self,
        *,
        client: discord.Client,
        opened: StudioParts,
        kept: Kept,
        library: Library,
        judge: PictureJudge,
        catalogue: LiveCatalogue,
        classifies: Callable[[], bool],
    ) -> None:
        """`classifies` as `Inspection` has it."""
        settings, transport = opened.settings, opened.transport
        self.poster = Poster(client)
        wishes = PreviewWishes(
            client=client,
            preferences=kept.preferences,
            allowed=judge.wish,
            shown=settings.previews,
        )
        self.wants_previews = wishes.wanted
        self.editor = CardEditor(
            jobs=kept.jobs,
            poster=self.poster,
            previews=settings.previews,
            wants_previews=wishes.wanted,
        )
        self.deliverer = Deliverer(
            client=client,
            jobs=kept.jobs,
            images=kept.images,
            poster=self.poster,
            editor=self.editor,
            veils=judge,
            scripts=kept.scripts,
            pinger=Pinger(client=client, jobs=kept.jobs, preferences=kept.preferences, poster=self.poster),
        )
        self.relay = _Relay(self.editor, self.deliverer)
        self.dispatcher = Dispatcher(
            jobs=kept.jobs,
            scripts=kept.scripts,
            timings=kept.timings,
            settler=Settler(
                database=kept.database,
                jobs=kept.jobs,
                images=kept.images,
                transport=transport,
                library=library,
                judge=judge,
                parts=kept.parts,
                trainings=kept.trainings,
            ),
            resolver=SpecResolver(jobs=kept.jobs, images=kept.images, inputs=kept.inputs, transport=transport),
            transport=transport,
            listener=self.relay,
            leases=opened.leases,
            previews=wishes.wish,
            gates=kept.gates,
            inspection=Inspection(
                Looker(settings.models_dir, settings.logs_dir / "looker.log"),
                StoredSources(kept.images, kept.inputs),
                is_remote=lambda worker: not is_embedded_name(worker),
                classifies=classifies,
            ),
            needs=ModelNeeds(library, source=sources_of(catalogue), saved=saved_lora(kept.trainings)),
        )
        self.machine = Machine(
            lambda: any(not view.set_aside for view in self.dispatcher.workers), expected=settings.workers > 0
        )
