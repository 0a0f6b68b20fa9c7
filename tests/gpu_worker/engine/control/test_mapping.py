"""A map by itself, through the engine: the same that a drawing's control unit sees, as a PNG."""

import hashlib
import io
import struct
import types
import zlib

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from gpu_worker.engine.control.preprocess import preprocess
from gpu_worker.engine.control.units import OpenedUnit, placed_units
from gpu_worker.engine.engine import DrawingCancelled, Engine, EngineError
from gpu_worker.engine.images.files import read_infotext
from gpu_worker.engine.images.geometry import fit
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef, Preprocess


class Asked:
    preview = PreviewWish()

    def __init__(self, *files, cancel=False):
        self.files = {hashlib.sha256(data).hexdigest(): data for data in files}
        self.phases = []
        self.cancel = cancel

    def progress(self, phase, step, of, preview):
        self.phases.append(phase)

    def cancelled(self):
        return self.cancel

    def open_image(self, ref):
        return self.files[ref.sha256]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    made = Engine(models_dir=folder / "models", demo_dir=folder / "none", options=EngineOptions(device="cpu"))
    yield made
    made.close()


def file_of(picture, kind="PNG", **options):
    out = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(out, kind, **options)
    return out.getvalue()


def ref_of(data):
    return ImageRef(ref="x", sha256=hashlib.sha256(data).hexdigest(), mime="image/png", size_bytes=max(1, len(data)))


def drawn(engine, data, name="canny", *more, **wish):
    (made,) = engine.draw(Preprocess(image=ref_of(data), preprocessor=name, **wish), Asked(data, *more))
    return made, np.asarray(Image.open(io.BytesIO(made.png)).convert("RGB"))


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(6).integers(0, 256, (90, 140, 3), dtype=np.uint8)


def test_it_is_the_map_that_a_unit_sees(engine, picture):
    spec = Preprocess(image=ref_of(b"x"), preprocessor="canny", processor_resolution=96, threshold_a=50)
    made, shown = drawn(engine, file_of(picture), processor_resolution=96, threshold_a=50)
    assert (shown == preprocess("canny", picture, spec.unit)).all()
    assert (made.width, made.height) == (149, 96) == shown.shape[1::-1]
    assert made.infotext.startswith("Module: canny, Processor Res: 96, Threshold A: 50, Version: ")
    assert read_infotext(made.png) == "", "no reader takes it for a picture with a prompt"


@pytest.mark.parametrize("mode", ["Just Resize", "Crop and Resize", "Resize and Fill"])
@pytest.mark.parametrize("perfect", [False, True])
def test_fitted_it_is_what_a_drawing_of_that_size_is_led_by(engine, picture, mode, perfect):
    wish = {"width": 128, "height": 192, "resize_mode": mode, "pixel_perfect": perfect, "processor_resolution": 64}
    made, shown = drawn(engine, file_of(picture), fit=True, **wish)
    assert (made.width, made.height) == (128, 192)
    unit = Preprocess(image=ref_of(b"x"), preprocessor="canny", **wish).unit
    model = types.SimpleNamespace(loaded=types.SimpleNamespace(kind="controlnet", pixels=8))
    (led,) = placed_units([OpenedUnit(unit, model, picture, None)], 24, 16)
    assert shown / 255 == pytest.approx(led.pixels[0].numpy().transpose(1, 2, 0), abs=1e-6)


def test_the_seed_shuffles(engine, picture):
    data = file_of(picture)
    first, second, again = (drawn(engine, data, "shuffle", seed=seed)[1] for seed in (1, 2, 1))
    assert (first == again).all()
    assert (first != second).any()


def test_what_a_mask_hides_is_faded(engine, picture):
    hidden = np.zeros(picture.shape[:2], np.uint8)
    hidden[:, 70:] = 255
    mask = file_of(hidden)
    _, shown = drawn(engine, file_of(picture), "inpaint", mask, mask=ref_of(mask))
    assert (shown[:, :70] == picture[:, :70]).all()
    assert (shown[:, 70:] == picture[:, 70:] // 2 + 128).all()
    _, plain = drawn(engine, file_of(picture), "invert", mask, mask=ref_of(mask))
    assert (plain == 255 - picture).all(), "of others it says where the model leads"


def test_a_target_is_needed_where_it_counts():
    for wish in ({"fit": True}, {"pixel_perfect": True, "width": 64}):
        with pytest.raises(ValidationError):
            Preprocess(image=ref_of(b"x"), preprocessor="canny", **wish)


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [("no_such", "bad_input", "preprocessor"), ("depth_midas", "missing_model", "no_annotator")],
)
def test_what_is_refused_before_the_picture_is_read(engine, name, kind, reason):
    with pytest.raises(EngineError) as caught:
        engine.draw(Preprocess(image=ref_of(b"x"), preprocessor=name), Asked())
    assert caught.value.kind == kind
    assert caught.value.detail["reason"] == reason


def test_it_can_be_cancelled(engine, picture):
    data = file_of(picture)
    with pytest.raises(DrawingCancelled):
        engine.draw(Preprocess(image=ref_of(data), preprocessor="canny"), Asked(data, cancel=True))


def test_without_memory_it_is_the_preprocessor_that_has_too_little(engine, picture, monkeypatch):
    def full(*_given):
        raise MemoryError

    monkeypatch.setattr("gpu_worker.engine.engine.made_map", full)
    with pytest.raises(EngineError) as caught:
        drawn(engine, file_of(picture))
    assert (caught.value.kind, caught.value.detail) == ("oom", {"reason": "preprocessor"})


def test_the_worker_says_that_it_looks(engine, picture):
    data = file_of(picture)
    asked = Asked(data)
    engine.draw(Preprocess(image=ref_of(data), preprocessor="invert"), asked)
    assert asked.phases == ["looking"]


def headed(width, height):
    """A PNG that says it is so large and holds next to nothing."""
    data = bytearray(file_of(np.zeros((1, 1, 3), np.uint8)))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def animated():
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize("name", ["canny", "invert", "lineart_standard", "tile_resample", "shuffle"])
def test_one_pixel_has_a_map(engine, name):
    made, shown = drawn(engine, file_of(np.full((1, 1, 3), 200, np.uint8)), name)
    assert (made.width, made.height) in ((1, 1), (512, 512))
    assert shown.shape[:2] == (made.height, made.width)


def test_of_an_animation_the_first_picture_counts_and_other_colours_are_read(engine):
    _, shown = drawn(engine, animated(), "invert")
    assert (shown == (0, 255, 255)).all()
    _, shown = drawn(engine, file_of(Image.new("CMYK", (20, 10), (0, 0, 0, 255)), "JPEG"), "invert")
    assert shown.min() > 240


def test_a_picture_of_4k(engine):
    wide = np.zeros((2160, 3840, 3), np.uint8)
    wide[:, 1900:] = 255
    made, shown = drawn(engine, file_of(wide, compress_level=1), processor_resolution=2048)
    assert (made.width, made.height) == (3641, 2048)
    assert shown[:, 1790:1810].max() == 255


@pytest.mark.parametrize(
    "data",
    [
        headed(60_000, 60_000), headed(7680, 4320), headed(2**31 - 1, 1), b"", b"no picture",
        file_of(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))[:900],
    ],
    ids=["bomb", "8K", "endless", "empty", "text", "cut off"],
)  # fmt: skip
def test_what_is_no_picture_or_too_large(engine, data):
    with pytest.raises(EngineError) as caught:
        drawn(engine, data)
    assert (caught.value.kind, caught.value.detail["reason"]) == ("bad_input", "source_picture")


@pytest.mark.parametrize("name", ["canny", "blur_gaussian", "t2ia_color_grid"])
def test_a_picture_that_would_become_too_large(engine, name):
    with pytest.raises(EngineError) as caught:
        drawn(engine, file_of(np.zeros((2, 16000, 3), np.uint8)), name, processor_resolution=2048)
    assert caught.value.detail["reason"] == "source_picture"


def test_several_maps_of_one_job(engine, picture):
    data = file_of(picture)
    parts = [Preprocess(image=ref_of(data), preprocessor=name) for name in ("invert", "threshold")]
    made = engine.draw(parts[0].model_copy(update={"others": (parts[1],)}), Asked(data))
    assert [each.infotext.partition(",")[0] for each in made] == ["Module: invert", "Module: threshold"]


def test_an_img2imgs_own_picture_is_brought_to_the_size_first(engine, picture):
    spec = {"width": 64, "height": 96, "fit": True, "brought": "Crop and resize"}
    _, shown = drawn(engine, file_of(picture), "invert", **spec)
    assert (shown == 255 - fit(picture, 64, 96, "Crop and resize")).all()
