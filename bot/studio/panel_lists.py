"""The lists of the panel: checkpoints, LoRAs, samplers and sizes, each within the 25 rows that Discord shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bot.domain.changes import sampler_label
from bot.domain.lora_tags import loras_of
from bot.domain.mentions import spoken
from bot.domain.model_rules import Where
from bot.domain.parameters import Parameters
from bot.domain.sizes import ASPECTS, aspect_size
from bot.domain.styles import Style
from bot.domain.worn_styles import with_styles, worn
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.studio.model_names import ModelNames
from bot.studio.models import Models
from bot.studio.wardrobe import Wardrobe
from bot.ui.commands import choices
from bot.ui.forms import OPTIONS_LIMIT
from bot.ui.selects import Row
from gpu_worker.language.names import sampler_choices
from gpu_worker.protocol.messages import ModelFact, ModelKind
from gpu_worker.protocol.specs import JobSpec

__all__ = [
    "LORAS_MAX", "SEARCH", "SEARCHED", "List", "PanelList", "PanelLists", "aspect_for", "lora_names", "native_px",
    "not_found", "shape_of",
]  # fmt: skip

SEARCH = "?"
"""The row that opens the form to search with; no model has this name, on any file system."""
LORAS_MAX = 8
STYLES_MAX = 5
_FALLBACK_NATIVE_PX = 512
_TURN, _NOW, _ASPECT = "turn", "now", "ar:"
_SAME_SHAPE = 0.03


class List(IntEnum):
    """A list's number in the addresses of `pick` and `lookupform`: never reused."""

    CHECKPOINT = 1
    LORAS = 2
    SAMPLER = 3
    SIZE = 4
    STYLES = 5


SEARCHED = {List.CHECKPOINT: "checkpoint", List.LORAS: "lora", List.STYLES: "style"}
"""Lists that can be searched, and the name under which a draft remembers what for."""
_KINDS: dict[List, ModelKind] = {List.CHECKPOINT: "checkpoint", List.LORAS: "lora"}


@dataclass(frozen=True, slots=True)
class PanelList:
    """`at_most` as in `select_row`; `found` is whether its search found anything."""

    which: List
    placeholder: str
    rows: Sequence[Row]
    current: frozenset[str]
    at_most: int | None = None
    found: bool = True


class PanelLists:
    def __init__(self, models: Models, names: ModelNames, wardrobe: Wardrobe) -> None:
        self._models = models
        self._names = names
        self._wardrobe = wardrobe

    async def of(self, draft: Draft, where: Where, texts: Texts) -> list[PanelList]:
        facts = self._models.facts(where)
        return [
            await self._checkpoints(draft, where, texts),
            await self._loras(draft, where, facts, texts),
            await self._styles(draft, where, texts),
            _samplers(draft.spec, texts),
            _sizes(draft.spec, native_px(draft.spec.checkpoint, facts), texts),
        ]

    async def _checkpoints(self, draft: Draft, where: Where, texts: Texts) -> PanelList:
        now, typed = draft.spec.checkpoint, draft.searches.get(SEARCHED[List.CHECKPOINT], "")
        ranked = await self._names.ranked(where, "checkpoint", typed)
        rows = self._rows("checkpoint", [now], [row.name for row in ranked], {})
        search = _search_row(len(self._models.names("checkpoint", where)), texts)
        placeholder = texts("tweak.checkpoint", name=now)
        return PanelList(
            List.CHECKPOINT, placeholder, [*rows, search], self._values("checkpoint", [now]), found=bool(ranked)
        )

    async def _loras(self, draft: Draft, where: Where, facts: Sequence[ModelFact], texts: Texts) -> PanelList:
        typed = draft.searches.get(SEARCHED[List.LORAS], "")
        tags = loras_of(draft.spec.prompt)
        known = {fact.alias or fact.name: fact.name for fact in facts if fact.kind == "lora"}
        used = {known.get(tag.name, tag.name): tag.weights for tag in tags}
        ranked = await self._names.ranked(where, "lora", typed, checkpoint=draft.spec.checkpoint)
        hints = {name: texts("tweak.lora_weight", weight=weights) for name, weights in used.items()}
        fits = [row.name for row in ranked if row.fits or typed]
        rows = self._rows("lora", [*used], fits, hints)
        search = _search_row(len(self._models.names("lora", where)), texts)
        placeholder = texts("tweak.loras_used", names=", ".join(used)) if used else texts("tweak.loras")
        return PanelList(
            List.LORAS, placeholder, [*rows, search], self._values("lora", used),
            at_most=max(LORAS_MAX, len(used)) + 1,
            found=bool(ranked),
        )  # fmt: skip

    async def _styles(self, draft: Draft, where: Where, texts: Texts) -> PanelList:
        labels = await self._wardrobe.open(where.user_id, where.guild_id)
        typed = draft.searches.get(SEARCHED[List.STYLES], "")
        on = worn(draft.spec.prompt, draft.spec.negative_prompt, (kept.style for kept in labels.values()))
        marked = {kept.ref: label for label, kept in labels.items() if kept.style in on}
        found = [choice.value for choice in choices(typed, [*labels])] if typed else [*labels]
        names = [*dict.fromkeys((*marked.values(), *found))][: OPTIONS_LIMIT - 1]
        rows: list[Row] = [(labels[name].ref, name, " ".join(labels[name].style.prompt.split())) for name in names]
        search = _search_row(len(labels), texts, "tweak.search_hint_styles")
        placeholder = texts("tweak.styles_used", names=", ".join(marked.values())) if marked else texts("tweak.styles")
        return PanelList(
            List.STYLES, placeholder, [*rows, search], frozenset(marked),
            at_most=max(STYLES_MAX, len(marked)) + 1, found=bool(found),
        )  # fmt: skip

    async def dressed(self, draft: Draft, where: Where, picked: Sequence[str]) -> tuple[str, str, list[Style]]:
        """Both texts of the draft wearing the picked styles (by `ref`), and those of them that are new."""
        labels = await self._wardrobe.open(where.user_id, where.guild_id)
        styles = [kept.style for kept in labels.values()]
        on = worn(draft.spec.prompt, draft.spec.negative_prompt, styles)
        wanted = [kept.style for kept in labels.values() if kept.ref in picked]
        return with_styles(draft.spec.prompt, draft.spec.negative_prompt, on, wanted)

    def _rows(self, kind: ModelKind, first: Sequence[str], others: Iterable[str], hints: dict[str, str]) -> list[Row]:
        names = [*dict.fromkeys((*first, *others))][: OPTIONS_LIMIT - 1]
        return [(self._names.value(kind, name), name, hints.get(name, "")) for name in names]

    def _values(self, kind: ModelKind, names: Iterable[str]) -> frozenset[str]:
        return frozenset(self._names.value(kind, name) for name in names)

    def chosen(self, which: List, value: str) -> str:
        """The name of a model that was picked."""
        return self._names.named(_KINDS[which], value) or value


def lora_names(draft: Draft, shown: Iterable[str], picked: Sequence[str], facts: Sequence[ModelFact]) -> list[str]:
    """What the prompt names after `picked` were chosen among `shown`, both by file name: a LoRA that is named by its
    alias stays so, and one that the list did not show stays. Raises UserFacingError (`tweak_too_many_loras`)."""
    aliases = {fact.alias or fact.name: fact.name for fact in facts if fact.kind == "lora"}
    shown_names = set(shown)
    kept: list[str] = []
    taken: set[str] = set()
    for tag in loras_of(draft.spec.prompt):
        name = aliases.get(tag.name, tag.name)
        if name in picked or name not in shown_names:
            kept.append(tag.name)
            taken.add(name)
    kept += [name for name in picked if name not in taken]
    if len(kept) > max(LORAS_MAX, len(loras_of(draft.spec.prompt))):  # a prompt may come with more
        raise UserFacingError("tweak_too_many_loras", limit=LORAS_MAX)
    return kept


def native_px(checkpoint: str, facts: Sequence[ModelFact]) -> int:
    found = next((fact for fact in facts if (fact.kind, fact.name) == ("checkpoint", checkpoint)), None)
    return (found.native_px if found else None) or _FALLBACK_NATIVE_PX


def shape_of(spec: JobSpec, value: str) -> Parameters:
    """What a picked row of the sizes wishes."""
    if value == _TURN:
        return Parameters(width=spec.height, height=spec.width)
    return Parameters(aspect=value.removeprefix(_ASPECT)) if value.startswith(_ASPECT) else Parameters()


def _samplers(spec: JobSpec, texts: Texts) -> PanelList:
    now = sampler_label(spec)
    rows = [(name, name, "") for name in dict.fromkeys((now, *sampler_choices()))]
    return PanelList(List.SAMPLER, texts("tweak.sampler", name=now), rows, frozenset({now}))


def _sizes(spec: JobSpec, native: int, texts: Texts) -> PanelList:
    size = f"{spec.width}×{spec.height}"
    rows: list[Row] = [(_NOW, size, "")]
    if spec.width != spec.height:
        rows.append((_TURN, f"{spec.height}×{spec.width}", texts("tweak.turned")))
    for aspect in ASPECTS:
        width, height = aspect_size(aspect, native)
        if (width, height) != (spec.width, spec.height):
            rows.append((f"{_ASPECT}{aspect}", f"{width}×{height}", texts("tweak.size_hint", aspect=aspect)))
    return PanelList(List.SIZE, texts("tweak.size", size=size), rows, frozenset({_NOW}))


def _search_row(count: int, texts: Texts, hint: str = "tweak.search_hint") -> Row:
    return SEARCH, f"🔎 {texts('tweak.search')}", texts(hint, n=count)


def aspect_for(spec: JobSpec) -> str | None:
    """The usual aspect that a request has, to draw it at another checkpoint's own size; None where it has another."""
    ratio = spec.width / spec.height
    for aspect in ASPECTS:
        wide, high = map(int, aspect.split(":"))
        if abs(ratio * high / wide - 1) < _SAME_SHAPE:
            return aspect
    return None


def not_found(lists: Sequence[PanelList], draft: Draft, texts: Texts) -> list[str]:
    """Sentences on searches that found nothing."""
    return [
        texts("tweak.found_nothing", text=spoken(draft.searches.get(SEARCHED[shown.which], "")))
        for shown in lists
        if not shown.found and draft.searches.get(SEARCHED[shown.which])
    ]
