"""Parameters that other programs left in a picture: A1111 and Forge, NovelAI, ComfyUI, InvokeAI, Fooocus.

Everything comes back as A1111 would write it. ComfyUI, InvokeAI and Fooocus are read by sd-parsers, whose parsers are
given the texts alone: it remembers pictures by `id()`, so its own reading of files could give one's text for another.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from typing import Any, cast

from PIL import Image
from sd_parsers.data import PromptInfo
from sd_parsers.exceptions import ParserError
from sd_parsers.parsers import ComfyUIParser, FooocusParser, InvokeAIParser

from gpu_worker.engine.images.foreign_names import sampler_of
from gpu_worker.engine.images.metadata import FORMATS, LIMIT_BYTES, LIMIT_PIXELS, TROUBLE, infotext_in
from gpu_worker.language.infotext import Infotext, build_infotext, parse_fields, parse_infotext, whole_infotext

__all__ = ["read_parameters", "read_text"]

LIMIT_CHARACTERS = 1_000_000
LIMIT_NODES = 300
"""A larger ComfyUI graph is not followed: its reader's time grows with the square and more."""
_KEYS = ("parameters", "prompt", "invokeai_metadata", "sd-metadata", "Dream", "Software", "Description", "Comment")


def read_parameters(data: bytes) -> Infotext | None:
    """What the picture says about how it was made; None where it says nothing, or is no picture. Never raises.

    `fields` are A1111's keys, also for other programs' pictures, as far as they have a meaning there.
    """
    opened = _opened(data)
    return _read(*opened) if opened is not None else None


def read_text(data: bytes) -> str | None:
    """The same as a text: A1111's own as it stands there, another program's as A1111 would write it. Never raises."""
    opened = _opened(data)
    found = _read(*opened) if opened is not None else None
    if opened is None or found is None:
        return None
    own = opened[0]
    return own if own is not None and parse_infotext(own) == found else whole_infotext(found)


def _opened(data: bytes) -> tuple[str | None, dict[str, str], tuple[int, int]] | None:
    """A1111's text, those of other programs, and the size in pixels; None for what is no picture."""
    if len(data) > LIMIT_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > LIMIT_PIXELS:
                    return None
                image.load()  # texts may stand behind the pixels
                size = image.size
                infotext = infotext_in(image)
                texts = {key: str(image.info[key]) for key in _KEYS if key in image.info}
    except TROUBLE:
        return None
    if len(infotext or "") > LIMIT_CHARACTERS or any(len(text) > LIMIT_CHARACTERS for text in texts.values()):
        return None
    return infotext, texts, size


def _read(infotext: str | None, texts: Mapping[str, str], size: tuple[int, int]) -> Infotext | None:
    own = parse_infotext(infotext) if infotext else None
    if own and own.fields:
        return own
    try:
        found = _novelai(texts, size) or _foreign({**texts, "parameters": infotext or ""}, size)
    # Metadata is anybody's, and the readers index into it as they expect it to be.
    except (ParserError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        found = None
    return found or (own if own and (own.prompt or own.negative_prompt) else None)


def _novelai(texts: Mapping[str, str], size: tuple[int, int]) -> Infotext | None:
    """As A1111 imports them (behaviours §22.4); an unknown sampler is Euler a."""
    if texts.get("Software") != "NovelAI":
        return None
    said = _object(texts["Comment"])
    sampler, schedule = sampler_of(str(said["sampler"])) or ("Euler a", None)
    noise = said.get("noise_schedule")
    return _infotext(
        texts["Description"],
        str(said.get("uc") or ""),
        {
            "Steps": said["steps"],
            "Sampler": sampler,
            "Schedule type": schedule or ({"karras": "Karras", "exponential": "Exponential"}.get(str(noise))),
            "CFG scale": said["scale"],
            "Seed": said["seed"],
            "Size": f"{size[0]}x{size[1]}",
            "Clip skip": 2,
            "ENSD": 31337,
        },
    )


def _foreign(texts: Mapping[str, str], size: tuple[int, int]) -> Infotext | None:
    if "prompt" in texts:
        graph = _object(texts["prompt"])
        if len(graph) > LIMIT_NODES:
            return None
        info = ComfyUIParser().parse({"prompt": graph, "workflow": {"links": _links(graph)}})
        return _from_parsed(info, _canvas(graph) or size, {})
    if any(key in texts for key in ("invokeai_metadata", "sd-metadata", "Dream")):
        info = InvokeAIParser().parse(dict(texts))
        return _from_parsed(info, size, _object(texts["invokeai_metadata"]) if "invokeai_metadata" in texts else {})
    if texts["parameters"].lstrip().startswith("{"):
        return _from_parsed(FooocusParser().parse(dict(texts)), size, {})
    return None


def _links(graph: Mapping[str, Any]) -> list[tuple[int, str, int, str, int, str]]:
    """The executed graph's own links, in the form of the editor's: pictures made through the API have no other."""
    links: list[tuple[int, str, int, str, int, str]] = []
    for node_id, node in graph.items():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        for name, value in (cast("dict[str, Any]", inputs) if isinstance(inputs, dict) else {}).items():
            if isinstance(value, list) and len(cast("list[Any]", value)) == 2:
                links.append((0, str(cast("list[Any]", value)[0]), 0, str(node_id), 0, str(name).upper()))
    return links


def _canvas(graph: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size of the one empty latent."""
    sizes: set[tuple[int, int]] = set()
    for node in graph.values():
        if isinstance(node, dict) and str(node.get("class_type", "")).startswith("Empty"):
            inputs = cast("dict[str, Any]", node.get("inputs") or {})
            width, height = inputs.get("width"), inputs.get("height")
            if isinstance(width, int) and isinstance(height, int):
                sizes.add((width, height))
    return sizes.pop() if len(sizes) == 1 else None


def _from_parsed(info: PromptInfo, size: tuple[int, int], raw: Mapping[str, Any]) -> Infotext | None:
    if not info.samplers:
        return None
    # Of several passes the one that began with nothing but noise.
    first = min(info.samplers, key=lambda sampler: sampler.parameters.get("denoise") not in (None, 1, 1.0))
    given: dict[str, Any] = {**info.metadata, **first.parameters}
    named = sampler_of(str(first.name), str(given["scheduler"]) if "scheduler" in given else None)
    model = first.model.name if first.model else _named(raw.get("model"))
    width, height = given.get("width"), given.get("height")
    whole = isinstance(width, int) and isinstance(height, int)
    layers = raw.get("clip_skip")
    fields = {
        "Steps": _plain(given.get("steps")),
        "Sampler": named[0] if named else str(first.name),
        "Schedule type": named[1] if named else None,
        "CFG scale": _plain(given.get("cfg_scale")),
        "Seed": _plain(given.get("seed", given.get("noise_seed"))),
        "Size": f"{width}x{height}" if whole else f"{size[0]}x{size[1]}",
        "Model": _stem(model) if model else None,
        "VAE": _named(raw.get("vae")),
        "Clip skip": layers + 1 if isinstance(layers, int) and layers > 0 else None,
    }
    prompts = ", ".join(str(prompt) for prompt in first.prompts or info.prompts)
    negatives = ", ".join(str(prompt) for prompt in first.negative_prompts)
    return _infotext(prompts + _loras(raw.get("loras")), negatives, fields)


def _loras(listed: Any) -> str:
    """InvokeAI keeps LoRAs beside the prompt; A1111 within it."""
    tags = ""
    for item in cast("list[Any]", listed) if isinstance(listed, list) else []:
        entry = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        name = _named(entry.get("model") or entry.get("lora"))
        if name and not set(name) & set("<>:"):
            tags += f" <lora:{name}:{float(entry.get('weight', 1)):g}>"
    return tags


def _named(model: Any) -> str | None:
    """A model's name in one of InvokeAI's several forms."""
    if not isinstance(model, dict):
        return None
    entry = cast("dict[str, Any]", model)
    name = entry.get("name") or entry.get("model_name")
    return str(name) if name else None


def _stem(name: Any) -> str:
    file = str(name).replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = file.rpartition(".")
    return stem if dot and suffix.lower() in ("safetensors", "ckpt", "pt", "pth", "sft", "gguf") else file


def _plain(value: Any) -> int | float | str | None:
    """Numbers and short texts; a link to another node, or a list, says nothing here."""
    return value if isinstance(value, int | float) or (isinstance(value, str) and len(value) < 40) else None


def _object(text: str) -> dict[str, Any]:
    value: Any = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError("no object")
    return cast("dict[str, Any]", value)


def _infotext(prompt: str, negative_prompt: str, fields: Mapping[str, Any]) -> Infotext:
    """Fields as they would be read back from a text, prompts as they are."""
    return Infotext(prompt, negative_prompt, parse_fields(build_infotext("", "", fields)))
