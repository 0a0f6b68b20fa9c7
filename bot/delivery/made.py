"""What a card says of a job without a prompt: on model files, which ends with no picture, or on a finished picture."""

from __future__ import annotations

from bot.domain.amounts import size_text
from bot.domain.job import Job
from bot.domain.mentions import neutral
from bot.domain.scripts import Script
from bot.i18n import Texts
from gpu_worker.protocol.specs import (
    BakeSpec,
    Caption,
    ConvertSpec,
    Describe,
    FileSpec,
    Preprocess,
    Sheet,
    Train,
    Ultimate,
    Upscale,
)

__all__ = ["headline", "made_lines"]

NAME_CHARS = 80


def headline(job: Job, texts: Texts) -> str:
    """A job in a few words, as they are: its prompt, or what is made from which files or pictures."""
    if isinstance(job.task, Upscale):
        return texts("looked.title.upscale", upscaler=job.task.upscaler)
    if isinstance(job.task, Describe):
        return texts("looked.title.describe", tagger=job.task.tagger)
    if isinstance(job.task, Caption):
        return texts("tag_editor.title_job", tagger=job.task.tagger, n=len(job.task.pictures))
    if isinstance(job.task, Preprocess):
        names = ", ".join(each.preprocessor for each in job.task.maps)
        return texts("mapped.title" if not job.task.others else "mapped.title_several", preprocessor=names)
    if isinstance(job.task, Ultimate):
        return job.task.drawing.prompt or texts("ultimate.title", upscaler=job.task.upscaler)
    if isinstance(job.task, Train):
        return texts("train.headline", name=job.task.output_name)
    if isinstance(job.task, Script):
        return job.task.base.prompt
    if isinstance(job.task, Sheet):
        return texts("script.title.sheet", n=len(job.task.cells), prompt=job.task.cells[0].prompt)
    return _sentence(job.files, texts) if job.files is not None else job.spec.prompt


def _sentence(files: FileSpec, texts: Texts) -> str:
    output = files.output
    match files:
        case ConvertSpec():
            return texts("made.title.convert", model=files.model, output=output)
        case BakeSpec():
            loras = ", ".join(lora.name for lora in files.loras)
            return texts("made.title.bake", model=files.checkpoint, loras=loras, output=output)
        case _:
            names = [name for name in (files.first, files.second, files.third) if name is not None]
            return texts("made.title.merge", models=" + ".join(names), output=output)


def made_lines(job: Job, texts: Texts) -> tuple[str, list[str]]:
    """The sentence of a finished card, and its small lines."""
    result = job.result
    if result is None:
        return texts("made.done_unknown"), []
    facts = [size_text(result.size_bytes)]
    if result.precision is not None:
        facts.append(result.precision)
    return texts("made.done", name=neutral(result.name, NAME_CHARS)), [" · ".join(facts)]
