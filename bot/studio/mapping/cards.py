"""The lists of preprocessors, in groups, and the form of one preprocessor's numbers."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.domain.ids import JobId
from bot.domain.job import Job
from bot.domain.mapping import missing_annotators
from bot.i18n import Texts
from bot.ui.codec import Verb, encode
from bot.ui.forms import form_of, text_field
from bot.ui.selects import Row, select_row
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE, PreprocessorEntry, Slider, find_preprocessor
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Preprocess

__all__ = ["FIELDS", "GROUPS", "adjust_form", "label_of", "list_card"]

GROUPS: dict[str, frozenset[str]] = {
    "lines": frozenset({"Canny", "Lineart", "SoftEdge", "Scribble", "MLSD"}),
    "shapes": frozenset({"Depth", "NormalMap", "OpenPose", "Segmentation"}),
    "pictures": frozenset({"All", "Shuffle", "Tile", "Recolor", "T2I-Adapter"}),
}
"""By A1111's tags. What an inpainting looks at is no map of a finished picture."""
FIELDS = ("preprocessor", "resolution", "a", "b")
BLUE = 0x5865F2
_NO_MAP = frozenset({"none", "tile_colorfix", "tile_colorfix+sharp"})
"""The picture itself, whatever else they do to a drawing."""
_NUMBER_CHARS = 12


def list_card(find: JobId, facts: Sequence[ModelFact], texts: Texts) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its lists are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
    box.add_item(discord.ui.TextDisplay(f"### {texts('map.title')}\n{texts('map.how')}"))
    for n, (group, tags) in enumerate(GROUPS.items()):
        rows = [_row(entry, facts, texts) for entry in PREPROCESSOR_TABLE if entry.tag in tags and _shown(entry)]
        box.add_item(select_row(Verb.MAP_MAKE, find, texts(f"map.group.{group}"), rows, n=n))
    view.add_item(box)
    return view


def label_of(entry: PreprocessorEntry, facts: Sequence[ModelFact], texts: Texts) -> str:
    """For a list that has no room for a second line."""
    shows = texts(f"map.shows.{entry.tag.casefold().replace('-', '_')}")
    label = f"{entry.name} · {shows}"
    return texts("map.not_installed", name=label) if missing_annotators(entry, facts) else label


def adjust_form(job: Job, spec: Preprocess, texts: Texts) -> discord.ui.Modal:
    """Its preprocessor's sliders by their own names; those of another one that is typed here may be others."""
    form = form_of(texts("map.adjust_title"), encode(Verb.MAP_ADJUST_FORM, job.id))
    entry = find_preprocessor(spec.preprocessor)
    text_field(
        form, "preprocessor", texts("map.preprocessor"), texts("map.preprocessor_hint"), spec.preprocessor,
        paragraph=False, required=True, max_length=60,
    )  # fmt: skip
    resolution = "" if spec.pixel_perfect or entry is None or entry.resolution is None else spec.processor_resolution
    text_field(
        form, "resolution", texts("map.resolution"), texts("map.resolution_hint"), str(resolution), paragraph=False,
        max_length=_NUMBER_CHARS,
    )  # fmt: skip
    if entry is not None:
        _slider_field(form, "a", entry.a, spec.threshold_a, texts)
        _slider_field(form, "b", entry.b, spec.threshold_b, texts)
    return form


def _slider_field(form: discord.ui.Modal, name: str, slider: Slider | None, value: float | None, texts: Texts) -> None:
    if slider is None:
        return
    hint = texts("map.slider_hint", least=f"{slider.low:g}", most=f"{slider.high:g}", usual=f"{slider.default:g}")
    text_field(form, name, slider.label, hint, f"{slider.bounded(value):g}", paragraph=False, max_length=_NUMBER_CHARS)


def _shown(entry: PreprocessorEntry) -> bool:
    return entry.name not in _NO_MAP


def _row(entry: PreprocessorEntry, facts: Sequence[ModelFact], texts: Texts) -> Row:
    hint = texts(f"map.shows.{entry.tag.casefold().replace('-', '_')}")
    if missing_annotators(entry, facts):
        hint = texts("map.not_installed", name=hint)
    return entry.name, entry.name, hint
