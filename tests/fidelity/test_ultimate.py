"""Ultimate SD upscale's sizes, tiles and their order, seams and infotext, against what the script itself did."""

import pytest
from reference import vectors

from gpu_worker.engine.tasks.ultimate.masks import mask_box, place
from gpu_worker.language.tiles import drawn_tiles, scaled_size, upscale_factors
from gpu_worker.language.ultimate_fields import ultimate_fields
from gpu_worker.protocol.specs import ImageRef, Img2Img, Ultimate


def tiles_of(given):
    return drawn_tiles(
        (given["pw"], given["ph"]),
        (given["tile_width"], given["tile_height"]),
        redraw=given["redraw"],
        blur=given["mask_blur"],
        padding=given["padding"],
        seams=given["sf_type"].lower(),
        seams_width=given["sf_width"],
        seams_blur=given["sf_blur"],
        seams_padding=given["sf_padding"],
    )


def told(tile, size, **more):
    placed = place(tile, size)
    assert placed is not None
    drawn = {"mask_bbox": [*mask_box(tile, size)], "crop": [*placed.crop], "process_size": [*tile.process]}
    return drawn | more


@pytest.mark.parametrize(("given", "expected"), vectors("usdu_scale_factors"))
def test_scale_factors(given, expected):
    size = tuple(given["source_size"])
    custom = given["target"] == "custom size"
    target = tuple(given["custom"]) if custom else scaled_size(size, given["scale"])
    assert list(target) == expected["final"]
    factors = upscale_factors(size, target) if given["upscaler"] != "None" else ()
    assert list(factors) == expected["upscaler_calls"]


@pytest.mark.parametrize(("given", "expected"), vectors("usdu_tile_order"))
def test_tile_order(given, expected):
    size = (given["pw"], given["ph"])
    tiles = tiles_of(given)
    assert len(tiles) == expected["job_count"]
    assert [told(tile, size, denoise=0.2) for tile in tiles] == expected["tiles"]


@pytest.mark.parametrize(("given", "expected"), vectors("usdu_seams_fix"))
def test_seams_fix(given, expected):
    size = (given["pw"], given["ph"])
    tiles = tiles_of(given)
    assert len(tiles) == expected["job_count"]
    found = [told(tile, size, padding=tile.padding, mask_blur=tile.blur, denoise=given["sf_denoise"]) for tile in tiles]
    assert found == expected["passes"]


@pytest.mark.parametrize(("given", "expected"), vectors("usdu_infotext"))
def test_infotext(given, expected):
    picture = ImageRef(ref="a", sha256="0" * 64, mime="image/png", size_bytes=1)
    drawing = Img2Img(prompt="a tower", checkpoint="demo", seed=1, image=picture, width=512, height=512)
    spec = Ultimate(
        drawing=drawing, width=given["pw"], height=given["ph"], tile_width=given["tile_width"],
        tile_height=given["tile_height"], mask_blur=given["mask_blur"], padding=given["padding"],
        upscaler=given["upscaler"], redraw=given["redraw"], seams=given["sf_type"].lower(),
    )  # fmt: skip
    fields = ultimate_fields(spec)
    assert {key: fields[key] for key in expected} == expected
    assert fields["Size"] == "1024x1024"
