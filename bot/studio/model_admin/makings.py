"""Convert, merge and bake in: what a command says, as the spec of the job that makes the file."""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from bot.domain.mentions import spoken
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.studio.conversions import Conversions, sources_of, tidy_output
from bot.studio.model_admin.files import ModelFiles
from bot.ui.client import Interaction
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, FileSpec, MergeSpec, Parts

__all__ = ["Makings", "read_loras"]

Precision = Literal["keep", "fp32", "fp16", "bf16"]
Weights = Literal["all", "no-ema", "ema-only"]
CONVERTED = ("checkpoint", "vae", "lora", "embedding", "controlnet", "upscaler")
LORAS_MAX = 8
WEIGHT_MAX = 4.0
_WEIGHTED = re.compile(r"(?P<name>.*\S)\s*:\s*(?P<weight>-?\d+(?:[.,]\d+)?)")


def read_loras(text: str) -> list[tuple[str, float]]:
    """`ink, oil:0.6`: names with the weight behind a colon, 1 without one. Raises UserFacingError (`bake_loras`)."""
    found: list[tuple[str, float]] = []
    for part in re.split(r"[;\n]|,(?!\d)", text):
        part = part.strip()
        if not part:
            continue
        match = _WEIGHTED.fullmatch(part)
        name, weight = (match["name"], float(match["weight"].replace(",", "."))) if match else (part, 1.0)
        if abs(weight) > WEIGHT_MAX:
            raise UserFacingError("bake_loras", limit=LORAS_MAX)
        found.append((name, weight))
    if not 1 <= len(found) <= LORAS_MAX:
        raise UserFacingError("bake_loras", limit=LORAS_MAX)
    return found


class Makings:
    def __init__(self, conversions: Conversions, files: ModelFiles) -> None:
        self._conversions = conversions
        self._files = files

    async def convert(
        self,
        interaction: Interaction,
        steward: Steward,
        *,
        model: str,
        name: str | None,
        precision: str,
        weights: str,
        vae: str | None,
    ) -> None:
        """`vae` is a file that is baked in, or `None` to take the checkpoint's own out.

        Raises UserFacingError: `convert_kind`, `convert_vae`, those of the conversions."""
        file = self._files.named(model)
        if file.kind not in CONVERTED:
            raise UserFacingError("convert_kind", name=spoken(file.name))
        if vae is not None and file.kind != "checkpoint":
            raise UserFacingError("convert_vae", name=spoken(file.name))
        removed = vae is not None and vae.strip().casefold() == "none"
        spec = ConvertSpec(
            output=_output(name or f"{file.name} {precision if precision != 'keep' else 'converted'}"),
            model=file.name,
            model_kind=cast("Any", file.kind),
            precision=cast("Precision", precision),
            weights=cast("Weights", weights),
            vae=None if removed else vae,
            parts=Parts(vae="delete") if removed else Parts(),
        )
        await self.begin(interaction, spec, steward)

    async def merge(
        self,
        interaction: Interaction,
        steward: Steward,
        *,
        first: str,
        second: str,
        third: str | None,
        multiplier: float,
        name: str | None,
        precision: str,
        vae: str | None,
        preview: str | None,
    ) -> None:
        """With a third checkpoint the difference is added. Raises UserFacingError: `merge_same`, those of the
        conversions."""
        if second in (first, third) or first == third:
            raise UserFacingError("merge_same")
        spec = MergeSpec(
            output=_output(name or f"{first} + {second}"),
            method="add difference" if third is not None else "weighted sum",
            first=first,
            second=second,
            third=third,
            multiplier=multiplier,
            precision=cast("Precision", precision),
            vae=vae,
        )
        await self.begin(interaction, spec, steward, preview)

    async def bake(
        self,
        interaction: Interaction,
        steward: Steward,
        *,
        checkpoint: str,
        loras: str,
        name: str | None,
        precision: str,
        preview: str | None,
    ) -> None:
        """Raises UserFacingError: `bake_loras`, those of the conversions."""
        baked = [BakedLora(name=lora, unet=weight, text_encoder=weight) for lora, weight in read_loras(loras)]
        spec = BakeSpec(
            output=_output(name or f"{checkpoint} + {', '.join(lora.name for lora in baked)}"),
            checkpoint=checkpoint,
            loras=tuple(baked),
            precision=cast("Precision", precision),
        )
        await self.begin(interaction, spec, steward, preview)

    async def begin(
        self, interaction: Interaction, spec: FileSpec, steward: Steward, preview: str | None = None
    ) -> None:
        """Raises UserFacingError: those of the conversions."""
        await self._conversions.request(interaction, spec, steward, preview=preview)
        await self._files.made(spec.kind, steward, spec.output, sources_of(spec)[0][1])


def _output(name: str) -> str:
    """What a spec takes. Raises UserFacingError (`convert_name`)."""
    tidy = tidy_output(name)
    if not tidy:
        raise UserFacingError("convert_name")
    return tidy
