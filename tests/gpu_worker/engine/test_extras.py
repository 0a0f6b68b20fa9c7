import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from upscaler_files import CPU, model_file, rrdb_weights

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.geometry import resample
from gpu_worker.engine.upscale.extras import extras_size, run_extras
from gpu_worker.engine.upscale.upscalers import Upscalers
from gpu_worker.protocol.specs import ImageRef, Upscale

REF = ImageRef(ref="image:1", sha256="0" * 64, mime="image/png", size_bytes=1)


class Faces:
    """Notes what it is asked for, and makes the picture darker by its visibility."""

    def __init__(self):
        self.wishes = []

    def restore(self, pictures, wish, check):
        check()
        self.wishes.append((wish.model, wish.visibility, wish.weight, pictures[0].shape))
        return [(picture * (1 - wish.visibility / 2)).astype(np.uint8) for picture in pictures]


@pytest.fixture
def upscalers(tmp_path):
    save_file(rrdb_weights(factor=4), tmp_path / "Repeat4.safetensors")
    return Upscalers(lambda: [model_file(tmp_path / "Repeat4.safetensors")], CPU)


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def extras(picture, upscalers, faces=None, told=None, **parts):
    spec = Upscale(image=REF, **parts)
    report = (lambda *_: None) if told is None else (lambda done, of: told.append((done, of)))
    out = run_extras(picture, spec, upscalers, faces or Faces(), check=lambda: None, report=report)
    assert out.shape[1::-1] == extras_size(picture.shape[1], picture.shape[0], spec)
    return out


def test_scale_by(picture, upscalers):
    drawn = extras(picture, upscalers, scale=4, upscaler="Repeat4")
    assert (drawn == picture.repeat(4, axis=0).repeat(4, axis=1)).all()
    assert extras(picture, upscalers, scale=2.5, upscaler="Lanczos").shape == (96, 136, 3)


def test_scale_to_covers_and_cuts_the_middle(picture, upscalers):
    whole = extras(picture, upscalers, width=112, height=112, crop=False, upscaler="Lanczos")
    assert (whole == resample(resample(picture, 156, 112), 152, 112)).all(), "the factor, then a multiple of eight"
    cut = extras(picture, upscalers, width=112, height=112, upscaler="Lanczos")
    assert (cut == whole[:, 20:132]).all()


def test_scale_to_leaves_no_black_border(upscalers):
    """A multiple of eight is below 333."""
    white = np.full((40, 56, 3), 255, np.uint8)
    drawn = extras(white, upscalers, width=333, height=221, upscaler="Nearest")
    assert drawn.shape == (221, 333, 3)
    assert extras(white, upscalers, width=333, height=221, crop=False, upscaler="Nearest").shape == (232, 333, 3)
    assert (drawn == 255).all()


def test_one_side_alone_is_no_size(picture, upscalers):
    assert extras(picture, upscalers, scale=2, width=500, upscaler="Nearest").shape == (80, 112, 3)


def test_second_upscaler_is_mixed_in(picture, upscalers):
    told = []
    first = extras(picture, upscalers, scale=4, upscaler="Repeat4")
    second = extras(picture, upscalers, scale=4, upscaler="Lanczos")
    mixed = extras(picture, upscalers, scale=4, upscaler="Repeat4", upscaler_2="Lanczos", visibility_2=0.25, told=told)
    assert np.abs(mixed - (first * 0.75 + second * 0.25)).max() <= 1
    assert (mixed == np.asarray(Image.blend(Image.fromarray(first), Image.fromarray(second), 0.25))).all()
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (200, 200)
    unseen = extras(picture, upscalers, scale=4, upscaler="Repeat4", upscaler_2="not there", visibility_2=0.0)
    assert (unseen == first).all()


def test_without_an_upscaler_only_faces(picture, upscalers):
    assert (extras(picture, upscalers, upscaler="None", scale=4, width=100, height=100) == picture).all()
    faces = Faces()
    drawn = extras(picture, upscalers, faces, upscaler="None", codeformer_visibility=1.0, codeformer_weight=0.3)
    assert faces.wishes == [("CodeFormer", 1.0, 0.3, (40, 56, 3))]
    assert (drawn == (picture * 0.5).astype(np.uint8)).all()


def test_faces_come_after_and_gfpgan_first(picture, upscalers):
    faces = Faces()
    extras(picture, upscalers, faces, scale=2, upscaler="Lanczos", gfpgan_visibility=0.5, codeformer_visibility=0.25)
    assert [(model, visibility, shape) for model, visibility, _, shape in faces.wishes] == [
        ("GFPGAN", 0.5, (80, 112, 3)),
        ("CodeFormer", 0.25, (80, 112, 3)),
    ]


@pytest.mark.parametrize("parts", [{"scale": 8}, {"width": 8192, "height": 8}])
def test_too_large_a_result_is_refused_before_any_work(upscalers, parts):
    picture = np.zeros((2048, 1032, 3), np.uint8)
    with pytest.raises(EngineError) as caught:
        extras(picture, upscalers, upscaler="Lanczos", **parts)
    assert caught.value.kind == "bad_input"
    assert caught.value.detail["reason"] == "size"


def test_too_small_a_result_is_refused(upscalers):
    with pytest.raises(EngineError) as caught:
        extras(np.zeros((3, 3, 3), np.uint8), upscalers, upscaler="Lanczos", scale=1)
    assert caught.value.detail["reason"] == "size"
