"""The infotext that the engine writes: keys, and their order."""

import pytest

from gpu_worker.engine.images.record import Record, picture_infotext, upscale_infotext
from gpu_worker.engine.sampling.noise import ImageSeed
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.language.names import resolve_sampler
from gpu_worker.protocol.specs import (
    FaceRestore,
    Hires,
    ImageRef,
    Img2Img,
    Mask,
    Refiner,
    StoredSource,
    Txt2Img,
    Upscale,
    Variation,
)

IMAGE = ImageRef(ref="r", sha256="0123456789abcdef" * 4, mime="image/png", size_bytes=1)
PLAIN = {"prompt": "a cat", "checkpoint": "m", "width": 512, "height": 768, "seed": 1}


def line(spec, **known):
    record = Record(spec, resolve_sampler(spec.sampler, spec.schedule), "31e35c80fc0123", **known)
    text = picture_infotext(record, ImageSeed(spec.seed, spec.variations))
    return text.removeprefix("a cat\n").partition(", Version: Pincel ")[0]


def test_a_plain_picture():
    assert line(Txt2Img(**PLAIN)) == (
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x768, "
        "Model hash: 31e35c80fc, Model: m"
    )


def test_every_key_of_a_text_stands_where_a1111_has_it():
    spec = Txt2Img(
        **PLAIN | {"prompt": "a (cat:1.2)"}, negative_prompt="bad", vae="kl.vae.pt", sampler="Euler a", clip_skip=2,
        variations=(Variation(seed=5, strength=0.3),), seed_resize=(256, 320), noise_source="CPU", ensd=31337,
        emphasis="No norm", old_prompt_editing=True, tiling=True, face_restore=FaceRestore(weight=0.2),
        refiner=Refiner(checkpoint="r"), ngms=1.5, eta=0.5, s_churn=1, s_tmin=2, s_tmax=3, s_noise=1.01, sigma_min=0.1,
        sigma_max=10, rho=5, discard_penultimate=True, zero_terminal_snr=True, downcast_alphas=True,
        hires=Hires(
            resize_width=1024, steps=9, upscaler="R-ESRGAN 4x+", sampler="Euler", schedule="Karras", checkpoint="h",
            prompt="x, y", negative_prompt="z", denoising_strength=0.4,
        ),
    )  # fmt: skip
    text = line(
        spec, vae=("kl.vae.pt", "f" * 64), lora_hashes=(("l", "a" * 64), ("k", "b" * 12)),
        embedding_hashes=(("e", "c" * 64),), hires_checkpoint_hash="d" * 64, refiner_hash="e" * 64, inpainting=True,
    )  # fmt: skip
    assert text == (
        "a (cat:1.2)\nNegative prompt: bad\n"
        "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, "
        "Face restoration: CodeFormer, Size: 512x768, Model hash: 31e35c80fc, Model: m, VAE hash: ffffffffff, "
        "VAE: kl.vae.pt, Variation seed: 5, Variation seed strength: 0.3, Seed resize from: 256x320, "
        "Denoising strength: 0.4, Conditional mask weight: 1.0, Clip skip: 2, ENSD: 31337, RNG: CPU, NGMS: 1.5, "
        "Tiling: True, Hires resize: 1024x0, Hires steps: 9, Hires upscaler: R-ESRGAN 4x+, "
        "Hires checkpoint: h [dddddddddd], Hires sampler: Euler, Hires schedule type: Karras, "
        'Hires prompt: "x, y", Hires negative prompt: z, Eta: 0.5, Sigma churn: 1, Sigma tmin: 2, Sigma tmax: 3, '
        "Sigma noise: 1.01, Schedule max sigma: 10, Schedule min sigma: 0.1, Schedule rho: 5, "
        "Discard penultimate sigma: True, Emphasis: No norm, Old prompt editing timelines: True, "
        "Downcast alphas_cumprod: True, Noise Schedule: Zero Terminal SNR, Refiner: r [eeeeeeeeee], "
        'Refiner switch at: 0.8, TI hashes: "e: cccccccccccc", Lora hashes: "l: aaaaaaaaaaaa, k: bbbbbbbbbbbb", '
        "Face restoration weight: 0.2"
    )


def test_inpainting():
    spec = Img2Img(
        **PLAIN, image=IMAGE, denoising_strength=0.75, noise_multiplier=0.9, extra_noise=0.1, image_cfg_scale=1.2,
        mask=Mask(image=IMAGE, invert=True, content="fill", only_masked=True), resize_mode="Crop and resize",
    )  # fmt: skip
    assert line(spec, edits=True).partition("Model: m, ")[2] == (
        "Denoising strength: 0.75, Init image hash: 0123456789, Mask blur: 4, Mask mode: Inpaint not masked, "
        "Inpaint area: Only masked, Masked area padding: 32, Masked content: fill, Noise multiplier: 0.9, "
        "Extra noise: 0.1, Resize mode: Crop and resize, Mask image hash: 0123456789"
    )
    assert "Image CFG scale: 1.2, Seed: 1" in line(spec)


@pytest.mark.parametrize(
    ("changes", "present", "absent"),
    [
        ({"sampler": "DPM++ 2M", "ensd": 31337}, "Noise seed delta: 31337", "ENSD"),
        ({"sampler": "Euler a", "ensd": 31337, "eta": 0}, "Noise seed delta: 31337", "ENSD"),
        ({"emphasis": "Ignore"}, "Model: m", "Emphasis"), ({"noise_source": "NV"}, "RNG: NV", "ENSD"),
        ({"sampler": "DDIM", "eta": 0.3}, "Eta DDIM: 0.3", "Eta: "), ({"vae": "None"}, "VAE: None", "VAE hash"),
        ({"cfg_scale": 7.5}, "CFG scale: 7.5", "Clip skip"), ({"checkpoint": "a: b"}, 'Model: "a: b"', "VAE"),
    ],
)  # fmt: skip
def test_keys_that_depend(changes, present, absent):
    text = line(Txt2Img(**PLAIN | changes))
    assert present in text
    assert absent not in text


def test_a_second_pass_from_a_stored_picture_names_it_where_its_size_says_that_it_was_another():
    spec = Txt2Img(**PLAIN, hires=Hires(source=StoredSource(image=IMAGE)))
    assert "Init image hash" not in line(spec, source_size=(512, 768))
    assert "Init image hash: 0123456789" in line(spec, source_size=(1024, 1536))


def test_prompts_of_one_picture():
    record = Record(Txt2Img(**PLAIN), resolve_sampler("Euler"), None)
    info = parse_infotext(picture_infotext(record, ImageSeed(1), prompt="a dog", negative_prompt="n"))
    assert (info.prompt, info.negative_prompt) == ("a dog", "n")
    assert "Model hash" not in info.fields


def test_extras():
    def done(**given):
        return upscale_infotext(Upscale(image=IMAGE, **given)).partition(", Version: Pincel ")[0]

    assert done(
        upscaler="R-ESRGAN 4x+", upscaler_2="Lanczos", visibility_2=0.5, gfpgan_visibility=0.5, codeformer_visibility=1,
        codeformer_weight=0.3,
    ) == (
        "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+, Postprocess upscaler 2: Lanczos, "
        "GFPGAN visibility: 0.5, CodeFormer visibility: 1.0, CodeFormer weight: 0.3, "
        "Postprocess upscaler 2 visibility: 0.5"
    )  # fmt: skip
    assert done(width=640, height=480) == (
        "Postprocess upscale to: 640x480, Postprocess crop to: 640x480, Postprocess upscaler: Lanczos"
    )
    assert done(upscaler="None", gfpgan_visibility=1) == "GFPGAN visibility: 1.0"
