"""Sizes, crops, blurs, tiles and steps against A1111's numbers (behaviours §8, §9, §20)."""

import cv2
import numpy as np
import pytest
from PIL import Image
from reference import vectors

from gpu_worker.engine.images.geometry import fit
from gpu_worker.engine.images.masks import blur_kernel, blurred, crop_region, expand_region
from gpu_worker.engine.upscale.tiles import split_grid
from gpu_worker.language.passes import hires_target, img2img_steps, upscale_plan

MODES = ("Just resize", "Crop and resize", "Resize and fill")


@pytest.mark.parametrize(("given", "expected"), vectors("hires_target"))
def test_hires_target(given, expected):
    target = hires_target(
        given["width"], given["height"], given["hr_scale"], given["hr_resize_x"], given["hr_resize_y"],
        old=given["use_old_hires_fix_width_height"],
    )  # fmt: skip
    resize = target.resize
    written = {"Hires resize": f"{resize[0]}x{resize[1]}"} if resize else {"Hires upscale": given["hr_scale"]}
    assert {
        "first_pass": list(target.first_pass),
        "upscale_to": list(target.upscale_to),
        "truncate_latent": list(target.truncate_latent),
        "infotext": written,
    } == expected


@pytest.mark.parametrize(("given", "expected"), vectors("img2img_steps"))
def test_img2img_steps(given, expected):
    steps = img2img_steps(
        given["steps"], given["denoising_strength"], given["img2img_fix_steps"], given["explicit_steps"]
    )
    assert {
        "schedule_steps": steps.schedule_steps,
        "t_enc": steps.t_enc,
        "sigma_slice_start": steps.slice_start,
        "intervals_run_kdiffusion": steps.intervals,
    } == expected


@pytest.mark.parametrize(("given", "expected"), vectors("upscaler_scale"))
def test_upscaler_scale(given, expected):
    plan = upscale_plan(*given["image"], given["scale"], given["model_factor"])
    assert list(plan.out) == expected["out"]
    assert [list(size) for size in plan.calls_on] == expected["model_calls_on"]


@pytest.mark.parametrize(("given", "expected"), vectors("split_grid"))
def test_split_grid(given, expected):
    grid = split_grid(*given["image"], given["tile_w"], given["tile_h"], given["overlap"])
    assert {"rows": list(grid.rows), "cols": list(grid.columns)} == expected


@pytest.mark.parametrize(("given", "expected"), vectors("resize_mode"))
def test_resize_mode(given, expected, monkeypatch):
    resizes = []
    resize = Image.Image.resize

    def recorded(image, size, *args, **kwargs):
        resizes.append((list(size), kwargs.get("box")))
        return resize(image, size, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", recorded)
    width, height = given["image"]
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = fit(picture, *given["target"], MODES[given["mode"]])
    assert [out.shape[1], out.shape[0]] == expected["out"]
    # A picture that has its size already is not resampled.
    main = [size for size, box in resizes if box is None] or [given["image"]]
    assert main == [expected["main_resize"]]
    assert [size for size, box in resizes if box is not None] == expected["edge_fill_resizes"]


@pytest.mark.parametrize(("given", "expected"), vectors("mask_blur_kernel"))
def test_mask_blur_kernel(given, expected):
    assert blur_kernel(given) == expected["kernel"]
    mask = np.zeros((700, 700), np.uint8)
    mask[350:, 300:] = 255
    soft = blurred(mask, given)
    if expected["kernel"] is None:
        assert (soft == mask).all()
    else:
        kernel = cv2.getGaussianKernel(expected["kernel"], expected["sigma"])
        wanted = cv2.sepFilter2D(mask.astype(np.float64), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
        assert np.abs(soft - wanted).max() <= 2  # two roundings


@pytest.mark.parametrize(("given", "expected"), vectors("only_masked_crop"))
def test_only_masked_crop(given, expected):
    width, height = given["image"]
    mask = np.zeros((height, width), np.uint8)
    if given["mask_box"]:
        left, top, right, bottom = given["mask_box"]
        mask[top:bottom, left:right] = 255
    region = crop_region(mask, given["padding"])
    assert list(region) == expected["crop_region"]
    assert list(expand_region(region, *given["process"], width, height)) == expected["expanded"]
