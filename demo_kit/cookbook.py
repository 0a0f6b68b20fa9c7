"""`python -m demo_kit.cookbook`: draws the pictures of docs/cookbook with what ships, by the product's own engine."""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bot.domain.scripts import Matrix, Script
from bot.domain.scripts.plot import Plot, PlotAxis
from bot.grids.drawing import draw_grid
from demo_kit.folders import CHECKOUT
from demo_kit.follow import unit
from demo_kit.studio import Studio
from gpu_worker.language.models import DEMO_NAME
from gpu_worker.language.regions import parse_regions
from gpu_worker.protocol.specs import Img2Img, Regions, Ultimate

Pixels = NDArray[np.uint8]
FOLDER = CHECKOUT / "docs" / "images" / "cookbook"
_GAP = 4
_NOTHING = PlotAxis(type="Nothing", values=("",), titles=("",))


def strip(pictures: Sequence[Pixels], side: int = 224) -> Image.Image:
    """Pictures side by side, each brought to that side."""
    sheet = Image.new("RGB", (len(pictures) * (side + _GAP) - _GAP, side), "white")
    for place, picture in enumerate(pictures):
        scaled = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(scaled, (place * (side + _GAP), 0))
    return sheet


def opened(png: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def grid(studio: Studio, script: Script) -> Image.Image:
    """As the bot sends it."""
    cells = sorted(script.expanded().cells, key=lambda cell: cell.index)
    files = studio.files([cell.spec for cell in cells])
    return draw_grid(script.layout(), files.__getitem__, (128, 128), {})


def control(studio: Studio) -> Image.Image:
    """A picture, the map of its edges, and two others drawn along them."""
    (cat,) = studio.draw(["a cat, white background"], [4])
    edges = cv2.Canny(cat, 100, 200)
    led = unit(studio, "canny", cat, preprocessor="canny", pixel_perfect=True)
    drawn = studio.draw(["a dog, red background", "a bear, green background"], [101, 102], control=[(led,)] * 2)
    return strip([cat, np.repeat(edges[..., None], 3, axis=2), *drawn])


def regions(studio: Studio) -> Image.Image:
    """One prompt for two things, and the same with regions."""
    above, below = "a red circle at the top", "a blue square at the bottom"
    plain = f"{above} and {below}, on a white background"
    parts = f"a white background AND {above}, on a white background AND {below}, on a white background"
    areas = Regions(areas=parse_regions("1:1,2:1,2:1", "0:0,0:0,1:0", "0.2,0.8,0.8"))
    files = studio.files([studio.spec(plain, 100), studio.spec(parts, 100, regions=areas)])
    return strip([opened(file) for file in files])


def plot(studio: Studio) -> Image.Image:
    """Steps by CFG scale."""

    def axis(kind: str, values: tuple[float, ...]) -> PlotAxis:
        titles = tuple(f"{kind}: {value:g}" for value in values)
        return PlotAxis(type=kind, text=", ".join(f"{value:g}" for value in values), values=values, titles=titles)

    base = studio.spec("a fox, blue background", 3)
    return grid(studio, Plot(base=base, x=axis("Steps", (4, 8, 20)), y=axis("CFG Scale", (2.0, 5.0)), z=_NOTHING))


def matrix(studio: Studio) -> Image.Image:
    """Two parts, four pictures."""
    return grid(studio, Matrix(base=studio.spec("a castle|night sky background|pencil sketch", 5)))


def ultimate(studio: Studio) -> Image.Image:
    """The middle of a picture at four times its size: resized, and drawn again in tiles."""
    drawing = studio.spec("a strawberry, yellow background", 11)
    (small,) = studio.files([drawing])
    values = drawing.model_dump(exclude={"kind", "hires"})
    values |= {"image": studio.give(opened(small)), "denoising_strength": 0.2}
    wish = Ultimate(
        drawing=Img2Img.model_validate(values), width=512, height=512, tile_width=256, mask_blur=16, padding=32
    )
    plain = Image.fromarray(opened(small)).resize((512, 512), Image.Resampling.LANCZOS)
    (large,) = studio.files([wish])
    middle = slice(112, 400)
    return strip([picture[middle, middle] for picture in (np.asarray(plain), opened(large))], side=288)


PICTURES: dict[str, Callable[[Studio], Image.Image]] = {
    made.__name__: made for made in (control, regions, plot, matrix, ultimate)
}


def main(arguments: list[str]) -> int:
    """Exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m demo_kit.cookbook", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*PICTURES, []], default=[], help="only these")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as models:
        studio = Studio(Path(models), DEMO_NAME)
        for name in options.name or PICTURES:
            path = options.folder / f"{name}.webp"
            PICTURES[name](studio).save(path, quality=80, method=6)
            print(f"{path}: {path.stat().st_size // 1024} KiB")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
