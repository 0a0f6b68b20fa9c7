import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_worker.engine.images.inpaint import prepare
from gpu_worker.engine.images.masks import (
    blurred,
    crop_region,
    expand_region,
    fill,
    hidden,
    latent_mask,
    model_mask,
    overlay,
    paste,
)
from gpu_worker.protocol.specs import ImageRef, Mask

REF = ImageRef(ref="image:1", sha256="0" * 64, mime="image/png", size_bytes=1)


def wish(**parts):
    return Mask(image=REF, **parts)


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def box(width, height, left, top, right, bottom):
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def test_blur_is_wider_than_the_mask_and_keeps_its_sum():
    mask = box(101, 101, 50, 50, 51, 51)
    soft = blurred(mask, 2)
    assert soft.max() > 5
    assert (soft == soft.T).all()
    assert (soft == soft[::-1]).all()
    rows = np.flatnonzero(soft.any(axis=1))
    assert 50 - 5 <= rows[0] < 50 < rows[-1] <= 50 + 5


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_regions_stay_inside_and_hold_the_mask(data):
    width, height = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    region = crop_region(box(width, height, left, top, right, bottom), data.draw(st.integers(0, 256)))
    job = data.draw(st.tuples(st.integers(8, 256), st.integers(8, 256)))
    x1, y1, x2, y2 = expand_region(region, *job, width, height)
    assert 0 <= x1 <= left < right <= x2 <= width
    assert 0 <= y1 <= top < bottom <= y2 <= height


def test_latent_mask_is_rounded():
    mask = box(128, 64, 0, 0, 32, 64)
    mask[:, 32:80] = 120
    mask[:, 80:] = 140
    cells = latent_mask(mask, 16, 8)
    assert cells.dtype == np.float32
    assert cells.shape == (8, 16)
    assert set(np.unique(cells)) == {0, 1}
    assert cells[3, [1, 6, 7, 13, 14]].tolist() == [1, 0, 0, 1, 1]


def test_model_mask_is_nearest():
    mask = np.random.default_rng(0).integers(0, 256, (100, 72), dtype=np.uint8)
    cells = model_mask(mask, 9, 12)
    pixels = torch.from_numpy(mask.astype(np.float32) / 255).round()[None, None]
    assert (torch.from_numpy(cells) == torch.nn.functional.interpolate(pixels, size=(12, 9))[0, 0]).all()


def test_what_inpainting_checkpoints_see():
    picture, mask = noise(4, 4), box(4, 4, 0, 0, 2, 4)
    seen = hidden(picture, mask)
    assert (seen[:, :2] == 127.5).all()
    assert (seen[:, 2:] == picture[:, 2:]).all()
    assert (hidden(picture, mask, 0.0) == picture).all()
    half = hidden(picture, mask, 0.5)
    assert np.allclose(half[:, :2], (picture[:, :2] + 127.5) / 2)


def test_fill_lets_colours_flow_in():
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[:, :64], picture[:, 64:] = (250, 0, 0), (0, 0, 250)
    mask = box(128, 128, 32, 32, 96, 96)
    picture[mask > 0] = (0, 255, 0)
    filled = fill(picture, mask)
    assert (filled[mask == 0] == picture[mask == 0]).all()
    assert filled[mask > 0][:, 1].max() <= 2, "nothing of what the mask hides"
    assert filled[64, 40, 0] > 150 > filled[64, 40, 2]
    assert filled[64, 88, 2] > 150 > filled[64, 88, 0]
    assert (fill(picture, np.full_like(mask, 255)) == 0).all()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), mask_value=st.integers(0, 255))
def test_overlay_between(seed, mask_value):
    original, drawn = noise(5, 5, seed), noise(5, 5, seed + 1)
    mask = np.full((5, 5), mask_value, np.uint8)
    wanted = original + (drawn.astype(float) - original) * mask_value / 255
    assert np.abs(overlay(original, drawn, mask) - wanted).max() <= 0.5 + 1e-9


def test_paste_puts_the_crop_into_its_region():
    original = noise(60, 40)
    mask = box(60, 40, 12, 6, 28, 22)
    crop = np.full((64, 64, 3), 9, np.uint8)
    pasted = paste(original, crop, (10, 4, 30, 24), mask)
    assert (pasted[mask == 0] == original[mask == 0]).all()
    assert (pasted[mask > 0] == 9).all()


@pytest.mark.parametrize("content", ["fill", "original", "latent noise", "latent nothing"])
@pytest.mark.parametrize("only_masked", [True, False])
@pytest.mark.parametrize("invert", [True, False])
def test_unmasked_pixels_are_exactly_the_originals(content, only_masked, invert):
    picture = noise(96, 96)
    mask = box(96, 96, 40, 50, 70, 80)
    spec = wish(content=content, only_masked=only_masked, invert=invert, padding_px=8)
    ready = prepare(picture, mask, spec, 96, 96, "Just resize")
    assert ready.picture.shape == (96, 96, 3)
    assert ready.latent_mask.shape == (12, 12)
    finished = ready.finish(np.full((96, 96, 3), 128, np.uint8))
    reach = blurred(255 - mask if invert else mask, spec.blur) > 0
    assert (finished[~reach] == picture[~reach]).all()
    inside = (255 - mask if invert else mask) > 0
    middle = blurred(inside.astype(np.uint8) * 255, 4) > 250
    assert np.abs(finished[middle].astype(int) - 128).max() <= 3
    assert (finished[inside] != picture[inside]).any(axis=1).mean() > 0.9


def test_whole_picture_covers_the_seam_twice():
    mask = box(64, 64, 0, 0, 32, 64)
    ready = prepare(noise(64, 64), mask, wish(), 64, 64, "Just resize")
    soft = blurred(mask, 4)
    assert (ready.mask.drawn == soft).all()
    assert (ready.mask.overlay == np.minimum(255, 2 * soft.astype(int))).all()
    assert ready.mask.region is None


def test_whole_picture_of_another_size_is_resized_with_its_mask():
    ready = prepare(noise(100, 50), box(100, 50, 0, 0, 50, 50), wish(blur=0), 64, 64, "Crop and resize")
    assert ready.latent_mask[3].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert ready.finish(ready.picture).shape == (64, 64, 3)
    assert (ready.finish(ready.picture) == ready.picture).all()


def test_only_masked_draws_the_crop_at_the_jobs_size():
    picture, mask = noise(400, 300), box(400, 300, 200, 100, 240, 140)
    ready = prepare(picture, mask, wish(only_masked=True, padding_px=10, blur=0), 128, 128, "Just resize")
    left, top, right, bottom = ready.mask.region
    assert (right - left, bottom - top) == (60, 60)
    assert ready.picture.shape == (128, 128, 3)
    finished = ready.finish(np.zeros((128, 128, 3), np.uint8))
    assert finished.shape == picture.shape
    assert (finished[mask > 0] == 0).all()
    assert (finished[mask == 0] == picture[mask == 0]).all()


def test_an_empty_mask_is_ignored_for_only_masked():
    """A1111 1.10; up to 1.9 it drew the lower right corner from a box that ends before it begins."""
    picture, empty = noise(64, 64), np.zeros((64, 64), np.uint8)
    ready = prepare(picture, empty, wish(only_masked=True), 32, 32, "Just resize")
    assert ready.mask is None
    assert ready.latent_mask is None
    assert ready.model_mask() is None
    drawn = noise(32, 32, 5)
    assert (ready.finish(drawn) == drawn).all()
    whole = prepare(picture, empty, wish(), 64, 64, "Just resize")
    assert not whole.latent_mask.any()
    assert (whole.finish(noise(64, 64, 6)) == picture).all()


def test_fill_comes_before_encoding_for_all_contents_but_original():
    picture, mask = noise(64, 64), box(64, 64, 16, 16, 48, 48)
    assert (prepare(picture, mask, wish(blur=0), 64, 64, "Just resize").picture == picture).all()
    for content in ("fill", "latent noise", "latent nothing"):
        ready = prepare(picture, mask, wish(blur=0, content=content), 64, 64, "Just resize")
        assert (ready.picture == fill(picture, mask)).all()


def test_a_latent_upscale_encodes_the_pictures_own_size():
    picture, mask = noise(48, 48), box(48, 48, 0, 0, 24, 48)
    ready = prepare(picture, mask, wish(content="fill", blur=0), 96, 96, "Just resize (latent upscale)")
    assert ready.picture.shape == (48, 48, 3)
    assert (ready.picture[:, 27:] == picture[:, 27:]).all()
    assert (ready.picture[:, :20] != picture[:, :20]).any()
    assert ready.latent_mask.shape == (12, 12)
    assert ready.finish(noise(96, 96, 2)).shape == (96, 96, 3)


def test_a_mask_of_another_size_is_brought_to_the_pictures():
    picture = noise(64, 64)
    ready = prepare(
        picture, box(32, 32, 0, 0, 16, 32), wish(blur=0, only_masked=True, padding_px=0), 64, 64, "Just resize"
    )
    assert ready.mask.overlay.shape == (64, 64)
    assert ready.mask.region[3] == 64


def test_hidden_and_model_mask_of_a_prepared_picture():
    picture, mask = noise(64, 64), box(64, 64, 0, 0, 32, 64)
    ready = prepare(picture, mask, wish(blur=0), 64, 64, "Just resize")
    assert (ready.hidden(1.0) == hidden(picture, mask)).all()
    assert ready.model_mask().tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 8


def test_an_odd_row_more_grows_downwards_and_to_the_right():
    assert expand_region((10, 10, 15, 12), 64, 64, 100, 100) == (10, 9, 15, 14)
    assert expand_region((10, 10, 12, 15), 64, 64, 100, 100) == (9, 10, 14, 15)
