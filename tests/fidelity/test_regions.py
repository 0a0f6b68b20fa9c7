"""Regions, their blend and their text, against what the extension Latent Couple itself answered."""

import numpy as np
import pytest
import torch
from reference import vectors

from gpu_worker.engine.regional import placed_regions
from gpu_worker.language.regions import DEFAULT_REGIONS, RegionSyntaxError, parse_regions, read_params, region_cells
from gpu_worker.protocol.specs import Regions


@pytest.mark.parametrize(("given", "expected"), vectors("latent_couple_regions"))
def test_regions(given, expected):
    fields = given["divisions"], given["positions"], given["weights"]
    if isinstance(expected, dict):
        with pytest.raises(RegionSyntaxError):
            parse_regions(*fields)
        return
    height, width = given["latent_h"], given["latent_w"]
    regions = parse_regions(*fields)
    found = [(region_cells(region, height, width), region.weight) for region in regions]
    assert [
        {"y1": cells[0], "y2": cells[1], "x1": cells[2], "x2": cells[3], "weight": weight} if cells else None
        for cells, weight in found
    ] == expected
    # What a latent is filtered with says the same.
    placed = placed_regions(Regions(areas=regions), height, width, torch.device("cpu"))
    for plane, (cells, weight) in zip(placed.filters, found, strict=True):
        wanted = torch.zeros(height, width)
        if cells:
            wanted[cells[0] : cells[1], cells[2] : cells[3]] = weight
        assert torch.equal(plane, wanted)


@pytest.mark.parametrize(("given", "expected"), vectors("latent_couple_blend"))
def test_blend(given, expected):
    shape = (1, 1, given["latent_h"], given["latent_w"])
    conds = [torch.full(shape, float(value)) for value in given["conds"]]
    uncond = torch.full(shape, float(given["uncond"]))
    regions = Regions(areas=DEFAULT_REGIONS, end_step=given["end_at_step"])
    placed = placed_regions(regions, *shape[2:], torch.device("cpu"))
    if placed.counts(given["step"]):
        conds = placed.blended(conds, uncond)
    got = [tensor[0, 0].numpy() for tensor in (*conds, uncond)]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize(("given", "expected"), vectors("latent_couple_apply_infotext"))
def test_fields_from_a_text(given, expected):
    *texts, step = read_params(given)
    assert [*texts, int(step)] == expected
