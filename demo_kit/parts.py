"""The parts of the kit: how each is trained, and where it ends up."""

from safetensors.torch import save_file

from demo_kit.base import train_base
from demo_kit.control import train_controlnet
from demo_kit.export import save, save_checkpoint
from demo_kit.folders import KIT, work_folder
from demo_kit.inpainting import train_inpainting
from demo_kit.low_rank import file_weights
from demo_kit.original import controlnet_weights, vae_weights
from demo_kit.tagger import export_tagger, train_tagger
from demo_kit.tune import train_adapter, train_negative, train_second
from demo_kit.upscaler import psnr_against_bicubic, train_upscaler, upscaler_weights
from demo_kit.vae import psnr, train_decoder, train_vae, trained_vae, warm_colours

__all__ = ["FURTHER", "PARTS"]


def vae(steps: int) -> None:
    """Stage one of the VAE; everything but the upscaler and the tagger needs it."""
    made = train_vae(steps)
    made.save_pretrained(work_folder("parts") / "vae-stage1")
    print(f"PSNR {psnr(made):.2f} dB")  # noqa: T201


def decoder(steps: int, further: bool = False) -> None:
    """Stage two of the VAE, and the second VAE, which is the first with warmer colours."""
    made = train_decoder(steps, further)
    made.save_pretrained(work_folder("parts") / "vae")
    print(f"PSNR {psnr(made):.2f} dB")  # noqa: T201
    save(
        KIT / "vae" / "pincel-warm.safetensors",
        vae_weights(warm_colours(made).state_dict(), prefix=""),
        title="Pincel warm",
    )


def decoder_further(steps: int) -> None:
    """Stage two of the VAE once more, from the kit's own files."""
    decoder(steps, further=True)


def base(steps: int, further: bool = False) -> None:
    """The checkpoint."""
    made = train_base(steps, further=further)
    path = KIT / "checkpoints" / "pincel-demo.safetensors"
    save_checkpoint(
        path, made.unet, made.text, trained_vae(), title="Pincel demo", description="A toy that draws emoji."
    )


def base_further(steps: int) -> None:
    """The checkpoint, trained further from the kit's own file."""
    base(steps, further=True)


def second(steps: int) -> None:
    """The second checkpoint: a comic."""
    made = train_second(steps)
    path = KIT / "checkpoints" / "pincel-demo-comic.safetensors"
    save_checkpoint(path, made.unet, made.text, trained_vae(), title="Pincel demo, comic")


def inpainting(steps: int) -> None:
    """The inpainting checkpoint."""
    made = train_inpainting(steps)
    path = KIT / "checkpoints" / "pincel-demo-inpainting.safetensors"
    save_checkpoint(path, made.unet, made.text, trained_vae(), title="Pincel demo, inpainting")


def _network(name: str, world: str, steps: int, trigger: str = "", **options: object) -> None:
    made = train_adapter(name, world, steps, **options)  # pyright: ignore[reportArgumentType]
    about = {"title": name, "architecture": "stable-diffusion-v1/lora"} | (
        {"trigger_phrase": trigger} if trigger else {}
    )
    save(KIT / "loras" / f"{name}.safetensors", file_weights(made), **about)


def blueprint(steps: int) -> None:
    """The LoRA of a style, without a trigger word."""
    _network("pincel-blueprint", "blueprint", steps)


def raccoon(steps: int) -> None:
    """The LoRA of a character, with its trigger word."""
    _network("pincel-raccoon", "character", steps, trigger="raccoon", rank=16, text=True)


def sepia(steps: int) -> None:
    """The LyCORIS: a LoHa of a style."""
    _network("pincel-sepia-loha", "sepia", steps, kind="loha", rank=4)


def negative(steps: int) -> None:
    """The negative embedding."""
    path = KIT / "embeddings" / "pincel-negative.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"emb_params": train_negative(steps).contiguous()}, path)


def _control(name: str, steps: int) -> None:
    path = KIT / "controlnet" / f"pincel-demo-{name}.safetensors"
    save(path, controlnet_weights(train_controlnet(name, steps).state_dict()), title=f"Pincel demo, {name}")


def canny(steps: int) -> None:
    """The ControlNet for edges."""
    _control("canny", steps)


def scribble(steps: int) -> None:
    """The ControlNet for scribbles."""
    _control("scribble", steps)


def depth(steps: int) -> None:
    """The ControlNet for depth."""
    _control("depth", steps)


def openpose(steps: int) -> None:
    """The ControlNet for poses."""
    _control("openpose", steps)


def upscaler(steps: int) -> None:
    """The upscaler."""
    made = train_upscaler(steps)
    print("PSNR {:.2f} dB; bicubic {:.2f} dB".format(*psnr_against_bicubic(made)))  # noqa: T201
    save(KIT / "upscalers" / "pincel-4x.safetensors", upscaler_weights(made), title="Pincel 4x")


def tagger(steps: int) -> None:
    """The tagger."""
    export_tagger(train_tagger(steps), KIT / "taggers" / "pincel-tagger")


PARTS = {
    vae: 5500, base: 9000, decoder: 2500, second: 1500, inpainting: 2500, blueprint: 400, raccoon: 500, sepia: 400,
    negative: 200, canny: 1200, scribble: 1200, depth: 1200, openpose: 1800, upscaler: 2000, tagger: 3000,
}  # fmt: skip
"""In the order in which they need each other: what makes a part, and how many steps it takes."""

FURTHER = {decoder_further: 1000, base_further: 2000}
"""What can be repeated with a kit at hand, without the runs that made it."""
