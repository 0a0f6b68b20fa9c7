"""One layer of wishes about a picture: what a server, a user, a style, the options or the inline flags ask for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

__all__ = ["Parameters", "Size"]

Size = tuple[int, int]
"""Width and height in pixels."""

_REPLACES = (
    ("sampler", "schedule"), ("hires_sampler", "hires_schedule"), ("hires_scale", "hires_size"),
    ("hires_size", "hires_scale"),
)  # fmt: skip
"""A wish for the first takes away the lower layer's second."""


@dataclass(frozen=True)
class Parameters:
    """Everything but the texts; None means "no wish here". Names, units and ranges are those of
    gpu_worker.protocol.specs; `hires_…` are the fields of its `Hires`. What else differs is said below."""

    checkpoint: str | None = None
    vae: str | None = None
    width: int | None = None
    height: int | None = None
    aspect: str | None = None
    """Width to height, such as `16:9`."""
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    """Also with its schedule in one name: `DPM++ 2M Karras`."""
    schedule: str | None = None
    clip_skip: int | None = None
    seed: int | None = None
    """-1 draws one."""
    count: int | None = None
    batch_size: int | None = None
    variation_seed: int | None = None
    """-1 draws one."""
    variation_strength: float | None = None
    """0 switches variations off."""
    seed_resize: Size | None = None
    """(0, 0) switches it off."""
    noise_source: str | None = None
    ensd: int | None = None
    emphasis: str | None = None
    old_prompt_editing: bool | None = None
    tiling: bool | None = None
    face_restore: str | None = None
    """`GFPGAN`, `CodeFormer`, `on` for whichever is there, or `off`."""
    face_visibility: float | None = None
    face_weight: float | None = None
    detail_fix: str | None = None
    """What detail fix looks for, with commas: `face`, `hand`, `person`, or detectors by name; `off` for nothing."""
    refiner: str | None = None
    """A checkpoint's name, or `None` for none."""
    refiner_at: float | None = None
    ngms: float | None = None
    eta: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float | None = None
    discard_penultimate: bool | None = None
    zero_terminal_snr: bool | None = None
    downcast_alphas: bool | None = None
    hires_scale: float | None = None
    """0 switches the second pass off."""
    hires_size: Size | None = None
    """In pixels, instead of the scale; one of the two may be 0 and then follows the aspect."""
    hires_upscaler: str | None = None
    hires_steps: int | None = None
    hires_sampler: str | None = None
    hires_schedule: str | None = None
    hires_checkpoint: str | None = None
    hires_prompt: str | None = None
    hires_negative: str | None = None
    denoising_strength: float | None = None
    """Of the second pass, or of a picture that is drawn again."""
    resize_mode: str | None = None
    exact_steps: bool | None = None
    mask_blur: int | None = None
    mask_invert: bool | None = None
    mask_content: str | None = None
    only_masked: bool | None = None
    padding_px: int | None = None
    extend: tuple[int, int, int, int] | None = None
    """Pixels of new canvas: left, right, top, bottom."""
    color_correction: bool | None = None
    mask_weight: float | None = None
    image_cfg_scale: float | None = None
    noise_multiplier: float | None = None
    extra_noise: float | None = None
    combinatorial: bool | None = None
    """Every combination of a dynamic prompt instead of `count` random ones."""

    def over(self, lower: Parameters) -> Parameters:
        """This layer on top of `lower`. Some groups are taken as a whole, because half of each would be nobody's wish:

        a sampler brings its own schedule (or none), an aspect or a complete size replaces the lower size, a scale of
        the second pass replaces its size and the other way round; one side alone keeps the lower aspect, or else the
        lower other side.
        """
        for wished, replaced in _REPLACES:
            if getattr(self, wished) is not None:
                lower = replace(lower, **{replaced: None})
        if self.aspect is not None or (self.width is not None and self.height is not None):
            lower = replace(lower, width=None, height=None, aspect=None)
        elif (self.width is not None or self.height is not None) and lower.aspect is not None:
            lower = replace(lower, width=None, height=None)
        wishes = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(lower, **{name: wish for name, wish in wishes.items() if wish is not None})

    def but_for(self, lower: Parameters) -> Parameters:
        """What differs from `lower`; of a size both sides, and of a sampler its schedule, too."""
        kept = {name: wish for name, wish in vars(self).items() if wish != getattr(lower, name)}
        for group in (("width", "height"), ("sampler", "schedule")):
            if kept.keys() & set(group):
                kept |= {name: getattr(self, name) for name in group}
        return Parameters(**kept)

    def only(self, *names: str) -> Parameters:
        return Parameters(**{name: getattr(self, name) for name in names})

    def without(self, *names: str) -> Parameters:
        return replace(self, **dict.fromkeys(names))
