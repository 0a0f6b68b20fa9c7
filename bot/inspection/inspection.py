"""What a remote worker sends becomes what may be kept: the same message with what is true, or an `UnfitError`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from bot.domain.job import Job
from bot.downloads.inspect import inspect
from bot.inspection.expected import BYTES_MAX, Expected, expected_pictures, how_many
from bot.inspection.looker import Looker
from bot.inspection.sayings import (
    STEPS_MAX,
    checked_captions,
    checked_description,
    checked_detail,
    one_line,
    seconds,
    told,
)
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.looking import (
    Answer,
    LookAtOwn,
    LookAtPart,
    LookAtPicture,
    LookAtPreview,
    ReadText,
    Refused,
    Seen,
    SeenOwn,
    SeenPreview,
    SeenText,
)
from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.results import TEXT_MIME, Captions, Description
from gpu_worker.protocol.safety import Looked
from gpu_worker.protocol.specs import (
    ULTIMATE_MAX_PX,
    Caption,
    ConvertSpec,
    Describe,
    ImageRef,
    Sheet,
    Train,
    Ultimate,
    Upscale,
)

__all__ = ["Fetch", "Inspection", "Sources", "UnfitError"]

log = logging.getLogger(__name__)

PREVIEW_PX = 1024
TEXT_BYTES_MAX = 16 << 20
TEXT_CHARS_MAX = 100_000
BY_A_WORKER = "worker"
"""`Looked.by` of what a remote worker alone has seen."""
NUDE_BY_HEARSAY = 0.2
"""Where the bot has no classifier, a worker's word counts from here on, and only against the picture."""
_DANGEROUS = frozenset({
    "download_unsafe", "download_damaged", "download_pickle", "download_archive", "download_not_a_model",
})  # fmt: skip


class UnfitError(Exception):
    """A worker has sent what cannot be the result of its job: its own fault. The text is the operator's."""


class Sources(Protocol):
    async def file(self, ref: ImageRef) -> Path | None:
        """Where a picture lies that a job of the table starts from; None where it is gone."""
        ...


Fetch = Callable[[m.Output], Awaitable[Path]]
"""Where the bytes of an output lie."""

Ended = m.Done | m.Failed | m.Cancelled | m.Paused


@dataclass
class Inspection:
    looker: Looker
    sources: Sources
    is_remote: Callable[[str], bool]
    """Of a worker's name, by what the bot itself knows of it."""
    classifies: Callable[[], bool] = lambda: False
    """Whether what nobody looked at is to be looked at here: a look is asked for, and the bot has a classifier."""

    async def stop(self) -> None:
        await self.looker.stop()

    async def end(self, message: Ended, job: Job, fetch: Fetch, alive: Callable[[], None]) -> Ended:
        """How an attempt ended. `alive` is called whenever it has come a little further. Raises UnfitError; OSError
        where it cannot be looked at now."""
        update: dict[str, Any]
        match message:
            case m.Done():
                return await self._done(message, job, fetch, alive)
            case m.Failed():
                update: dict[str, Any] = {
                    "detail": checked_detail(message.detail),
                    "message": one_line(message.message),
                }
            case m.Paused():
                # The reason is for the log alone.
                update = {
                    "step": min(message.step, STEPS_MAX), "of": min(message.of, STEPS_MAX),
                    "run_s": seconds(message.run_s), "reason": one_line(message.reason),
                }  # fmt: skip
            case _:
                return message
        return message.model_copy(update=update)

    def completes(self, message: Ended) -> bool:
        """Pictures of the bot's own worker at which that could not look, while the bot itself can."""
        return isinstance(message, m.Done) and any(map(_is_unseen, message.outputs)) and self.classifies()

    async def complete(self, done: m.Done, fetch: Fetch, alive: Callable[[], None]) -> m.Done:
        """With what our classifier says of those; nothing else is changed. Raises OSError as `end`."""
        outputs: list[m.Output] = []
        for output in done.outputs:
            looked = output.safety
            if _is_unseen(output):
                answer = await self.looker.ask(LookAtOwn(source=str(await fetch(output))))
                looked = answer.looked if isinstance(answer, SeenOwn) else None
                alive()
            outputs.append(output.model_copy(update={"safety": looked}))
        return done.model_copy(update={"outputs": tuple(outputs)})

    async def part(self, message: m.Partial, job: Job, fetch: Fetch) -> m.Partial | None:
        """A finished part that another worker may go on from, or a file that a training saved; None where it is nothing
        that a job of that kind has. Raises as `end`."""
        if message.file is not None:
            return await self._saved(message, message.file, job, fetch)
        task = job.task
        if not isinstance(task, Ultimate) or len(message.outputs) != 1 or message.n >= len(task.tiles()):
            log.info("job %s: a part that it cannot have, of worker %s, is left out", job.id, message.worker)
            return None
        source, target, output = await self._places(message, 0, message.outputs[0], fetch)
        if output.mime != "image/png":
            return None
        seen = _seen(
            await self.looker.ask(
                LookAtPart(
                    source=str(source), target=str(target), longest_px=ULTIMATE_MAX_PX, limit_bytes=m.PART_BYTES_MAX
                )
            )
        )
        # Nothing that is drawn goes on by a state of its own.
        return message.model_copy(update={"outputs": (_anew(output, target, seen),), "state": None})

    async def progress(self, message: m.Progress, *, guarded: bool) -> m.Progress:
        """With its preview decoded and written anew, or without: one that has to wait for others is left out."""
        message = told(message)
        if message.preview is None:
            return message
        preview: bytes | None = None
        if not self.looker.busy:
            with contextlib.suppress(OSError):
                answer = await self.looker.ask(
                    LookAtPreview(data=message.preview, longest_px=PREVIEW_PX, guarded=guarded)
                )
                preview = answer.data if isinstance(answer, SeenPreview) else None
        return message.model_copy(update={"preview": preview, "preview_guarded": guarded and preview is not None})

    # --- results ------------------------------------------------------------------------------------------------------

    async def _done(self, done: m.Done, job: Job, fetch: Fetch, alive: Callable[[], None]) -> m.Done:
        run_s = seconds(done.run_s)
        update: dict[str, Any] = {"run_s": run_s, "load_s": min(seconds(done.load_s), run_s)}
        task = job.task
        if job.files is not None:
            kind = job.files.model_kind if isinstance(job.files, ConvertSpec) else "checkpoint"
            update["outputs"] = (await self._model(_only(done, MODEL_MIME), kind, fetch),)
        elif isinstance(task, Describe | Caption):
            update["outputs"] = (await self._said(done, task, fetch),)
        elif isinstance(task, Train):
            update["outputs"] = ()
        else:
            update["missing"] = tuple(
                one.model_copy(update={"detail": checked_detail(one.detail)}) for one in done.missing
            )
            update["outputs"] = await self._pictures(done, job, fetch, alive)
        return done.model_copy(update=update)

    async def _pictures(self, done: m.Done, job: Job, fetch: Fetch, alive: Callable[[], None]) -> tuple[m.Output, ...]:
        task = job.task
        lost = {one.index for one in done.missing}
        count = how_many(task)
        if lost and (not isinstance(task, Sheet) or len(lost) != len(done.missing) or max(lost) >= count):
            raise UnfitError(f"pictures {sorted(lost)} are said to be missing of a job of {count}")
        if len(done.outputs) != count - len(lost):
            raise UnfitError(f"{len(done.outputs)} pictures where {count - len(lost)} were asked for")
        if isinstance(task, Sheet):
            task = task.model_copy(update={"cells": _without(task.cells, lost), "places": ()}) if lost else task
        source_text = await self._source_text(task) if isinstance(task, Upscale) else ""
        said = [output.infotext[:TEXT_CHARS_MAX] for output in done.outputs]
        expected = await asyncio.to_thread(expected_pictures, task, said, source_text)

        async def looked_at(index: int, output: m.Output, wish: Expected) -> m.Output:
            checked = await self._picture(done, index, output, wish, fetch)
            alive()
            return checked

        pairs = enumerate(zip(done.outputs, expected, strict=True))
        looks = [looked_at(n, output, wish) for n, (output, wish) in pairs]
        # All of them to their end: one that is unfit ends nobody else's look.
        found = await asyncio.gather(*looks, return_exceptions=True)
        failures = [one for one in found if isinstance(one, BaseException)]
        if failures:
            raise next((one for one in failures if isinstance(one, UnfitError)), failures[0])
        return tuple(one for one in found if isinstance(one, m.Output))

    async def _picture(self, done: m.Done, index: int, output: m.Output, wish: Expected, fetch: Fetch) -> m.Output:
        source, target, output = await self._places(done, index, output, fetch)
        width, height = wish.size or (0, 0)
        answer = await self.looker.ask(
            LookAtPicture(
                source=str(source), target=str(target), mime=output.mime, width=width, height=height,
                longest_px=wish.longest_px, limit_bytes=wish.limit_bytes, texts=wish.texts,
            )
        )  # fmt: skip
        if output.infotext != wish.infotext:
            log.info(
                "job %s, picture %s: its text is written anew; worker %s had another", done.job, index, done.worker
            )
        return _anew(output, target, _seen(answer)).model_copy(
            update={"seed": wish.seed, "variation_seed": wish.variation_seed, "infotext": wish.infotext}
        )

    async def _source_text(self, task: Upscale) -> str:
        seen = await self._text_of(task.image)
        return seen.plain if seen is not None else ""

    async def _text_of(self, ref: ImageRef) -> SeenText | None:
        path = await self.sources.file(ref)
        answer = await self.looker.ask(ReadText(source=str(path))) if path is not None else None
        return answer if isinstance(answer, SeenText) else None

    async def _said(self, done: m.Done, task: Describe | Caption, fetch: Fetch) -> m.Output:
        source, target, output = await self._places(done, 0, _only(done, TEXT_MIME), fetch)
        if output.size_bytes > TEXT_BYTES_MAX:
            raise UnfitError(f"a text of {output.size_bytes} bytes")
        own = await self._text_of(task.image) if isinstance(task, Describe) else None

        def written() -> bytes:
            try:
                with source.open("rb") as file:
                    data = file.read(TEXT_BYTES_MAX + 1)[:TEXT_BYTES_MAX]
                if isinstance(task, Caption):
                    found = checked_captions(Captions.model_validate_json(data), task)
                else:
                    found = checked_description(Description.model_validate_json(data), own)
            except FileNotFoundError as error:
                raise UnfitError("a text that is not there") from error
            except (ValidationError, ValueError) as error:
                raise UnfitError(f"a text that is none ({type(error).__name__})") from error
            anew = found.model_dump_json().encode()
            target.write_bytes(anew)
            return anew

        anew = await asyncio.to_thread(written)
        digest = hashlib.sha256(anew).hexdigest()
        return output.model_copy(
            update={"blob": target.name, "size_bytes": len(anew), "sha256": digest, "infotext": "", "safety": None}
        )

    # --- models -------------------------------------------------------------------------------------------------------

    async def _saved(self, message: m.Partial, file: m.SavedModel, job: Job, fetch: Fetch) -> m.Partial | None:
        if job.training is None or not _is_of(file.name, job.training):
            raise UnfitError(f"job {job.id} saves no file {file.name!r}")
        if max(file.epoch, file.step) > STEPS_MAX:
            raise UnfitError(f"a file of epoch {file.epoch}, step {file.step}")
        await self._model(message.outputs[0], "lora", fetch)
        return message

    async def _model(self, output: m.Output, kind: m.ModelKind, fetch: Fetch) -> m.Output:
        """Its header, read in a process of its own: pickles and archives are refused, whatever they are called."""
        try:
            path = await fetch(output)
            checked = await inspect(path, kind)
            if checked.problem in _DANGEROUS:  # a reader that a busy machine gave no time says so, too
                checked = await inspect(path, kind)
        except FileNotFoundError as error:
            raise UnfitError("a model whose file is not there") from error
        if checked.problem in _DANGEROUS:
            raise UnfitError(f"a model that is none ({checked.problem})")
        return output.model_copy(update={"infotext": "", "safety": None})

    async def _places(
        self, message: m.Done | m.Partial, index: int, output: m.Output, fetch: Fetch
    ) -> tuple[Path, Path, m.Output]:
        """Where it lies, where it comes to lie, and itself. Both go with their outbox entry, and no worker can send a
        file of the second name."""
        if not 0 < output.size_bytes <= BYTES_MAX:
            raise UnfitError(f"a result of {output.size_bytes} bytes")
        source = await fetch(output)
        part = f"k{message.n}" if isinstance(message, m.Partial) else str(index)
        suffix = ".json" if output.mime == TEXT_MIME else ".png"
        return source, source.with_name(f"{message.job}.{message.attempt}.{part}.looked{suffix}"), output


def _is_unseen(output: m.Output) -> bool:
    return output.safety is None and output.mime.startswith("image/")


def _anew(output: m.Output, target: Path, seen: Seen) -> m.Output:
    return output.model_copy(
        update={
            "blob": target.name, "size_bytes": seen.size_bytes, "sha256": seen.sha256, "mime": "image/png",
            "width": seen.width, "height": seen.height, "safety": _worse(seen.looked, output.safety),
        }
    )  # fmt: skip


def _worse(own: Looked | None, said: Looked | None) -> Looked | None:
    """A worker can only speak against its picture: that it saw nothing is no news."""
    if own is not None:
        if said is None or own.failed:
            return own
        worse = {"nude": max(own.nude, said.nude), "suggestive": max(own.suggestive, said.suggestive)}
        return own.model_copy(update=worse)
    if said is None or said.failed or said.nude < NUDE_BY_HEARSAY:
        return None
    return said.model_copy(update={"by": BY_A_WORKER})


def _seen(answer: Answer) -> Seen:
    if isinstance(answer, Refused):
        raise UnfitError(answer.reason)
    assert isinstance(answer, Seen), "what a picture is answered by"
    return answer


def _only(done: m.Done, mime: str) -> m.Output:
    found = [output for output in done.outputs if output.mime == mime]
    if len(found) != 1 or len(done.outputs) != 1:
        raise UnfitError(f"{len(done.outputs)} results where one {mime} was asked for")
    return found[0]


def _without(cells: tuple[Any, ...], lost: set[int]) -> tuple[Any, ...]:
    return tuple(cell for index, cell in enumerate(cells) if index not in lost)


def _is_of(name: str, task: Train) -> bool:
    own, _, number = name.rpartition("-")
    if name == task.output_name:
        return True
    digits = number.removeprefix("step")
    return own == task.output_name and digits.isdecimal() and len(digits) in (6, 8)
