"""The smallest add-on that has one of everything; docs/addons.md walks through it."""

from gpu_worker.language.addons import Addon, SamplerPart, UpscalerPart

ADDON = Addon(
    title="Example",
    description="A sampler, an upscaler and a command.",
    cogs=("pincel_addon_example.commands",),
    samplers=(
        SamplerPart("Midpoint", "pincel_addon_example.parts:midpoint", "Karras", ("k_midpoint",), second_order=True),
    ),
    upscalers=(UpscalerPart("Mosaic", "pincel_addon_example.parts:mosaic"),),
)
