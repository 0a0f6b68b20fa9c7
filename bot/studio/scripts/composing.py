"""The pictures of a grid, put together from the files of its cells. Everything here blocks: off the loop."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from PIL import Image as Pictures
from PIL import PngImagePlugin

from bot.domain.scripts import GridLayout, Script
from bot.grids import draw_grid
from bot.studio.scripts.pieces import Piece, pieces_of
from gpu_worker.language.infotext import parse_infotext, whole_infotext

__all__ = ["THUMB_PX", "GridPicture", "composed", "filling", "thumbnail"]

PREVIEW_PX = 1024
"""The longer side of a grid that fills."""
THUMB_PX = 256
EMPTY = (43, 45, 49)
"""A place that is not drawn yet: about the ground of a dark card."""

Read = Callable[[int], bytes | None]


@dataclass(frozen=True, slots=True)
class GridPicture:
    png: bytes
    width: int
    height: int
    infotext: str


def composed(
    script: Script, size: tuple[int, int], read: Read, blank: Mapping[int, str], infotext: str
) -> list[GridPicture]:
    """The finished pictures. `read` gives the file of a place's picture, None where there is none, of which `blank`
    says why; `infotext` is that of the first cell."""
    found: list[GridPicture] = []
    for piece in pieces_of(script.layout(), size):
        text = grid_infotext(script, piece, infotext)
        notes = {n: blank[place] for n, place in enumerate(piece.places) if place in blank}
        picture = draw_grid(
            piece.layout,
            lambda n, piece=piece: read(piece.places[n]),
            piece.cell,
            notes,
            scale=piece.cell[0] / size[0],
        )
        info = PngImagePlugin.PngInfo()
        info.add_itxt("parameters", text)
        out = io.BytesIO()
        picture.save(out, "PNG", pnginfo=info, compress_level=6)
        found.append(GridPicture(out.getvalue(), picture.width, picture.height, text))
    return found


def grid_infotext(script: Script, piece: Piece, infotext: str) -> str:
    """That of the first cell with what the script adds (behaviours §14.6)."""
    read = parse_infotext(infotext)
    last = {key: value for key, value in read.fields.items() if key == "Version"}
    first = {key: value for key, value in read.fields.items() if key not in last}
    return whole_infotext(replace(read, fields={**first, **script.fields(piece.page), **last}))


def thumbnail(data: bytes) -> bytes:
    """For a grid that fills."""
    with Pictures.open(io.BytesIO(data)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((THUMB_PX, THUMB_PX), Pictures.Resampling.BOX)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=80)
    return out.getvalue()


def filling(layout: GridLayout, thumbs: Mapping[int, bytes], aspect: tuple[int, int]) -> bytes:
    """A small WebP of all pages side by side, without titles, as far as it is drawn; `aspect` is a cell's size."""
    columns, rows = layout.columns * layout.pages, layout.rows
    scale = min(PREVIEW_PX / (columns * aspect[0]), PREVIEW_PX / (rows * aspect[1]), THUMB_PX / max(aspect))
    cell = (max(1, int(aspect[0] * scale)), max(1, int(aspect[1] * scale)))
    whole = Pictures.new("RGB", (columns * cell[0], rows * cell[1]), EMPTY)
    for place, data in thumbs.items():
        page, rest = divmod(place, layout.columns * rows)
        row, column = divmod(rest, layout.columns)
        with Pictures.open(io.BytesIO(data)) as picture:
            shown = picture.resize(cell, Pictures.Resampling.BOX)
        whole.paste(shown, ((page * layout.columns + column) * cell[0], row * cell[1]))
    out = io.BytesIO()
    whole.save(out, "WEBP", quality=75)
    return out.getvalue()
