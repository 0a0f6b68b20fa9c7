"""A diffusers folder read as if it were one file in the original layout, tensor by tensor."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from gpu_worker.convert.entries import DTYPES, Entry
from gpu_worker.convert.layout import VAE, vae_originals
from gpu_worker.convert.originals import open_clip_originals, unet_originals
from gpu_worker.engine.checkpoints.checkpoint import Family
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.families.text import text_parts
from gpu_worker.engine.families.unet import UNET_PREFIX, unet_config
from gpu_worker.engine.families.vae import latent_scale, vae_names
from gpu_worker.language.headers import HeaderError, read_header
from gpu_worker.language.layouts import folder_weights, read_checkpoint_folder, type_of

__all__ = ["FolderTensors", "open_folder"]

_SAID = ("attention_head_dim", "norm_num_groups", "layers_per_block", "use_linear_projection")
"""Of a UNet: what single files do not hold, so that every loader takes it for granted by the family."""
_SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
_TEXTS = {
    "sd1": ("text_encoder",), "sd2": ("text_encoder",), "sdxl": ("text_encoder", "text_encoder_2"),
    "sdxl_refiner": ("text_encoder_2",),
}  # fmt: skip

Read = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class FolderTensors:
    entries: dict[str, Entry]
    metadata: dict[str, str]
    reads: dict[str, Read]


@contextlib.contextmanager
def open_folder(path: Path, name: str) -> Iterator[FolderTensors]:
    """Raises EngineError: `bad_model` for a folder that cannot be drawn with, `bad_input` (`folder_shape`) for one
    whose single file would draw something else, because its networks have what no single file can say."""
    reading = read_checkpoint_folder(path)
    if reading.problem is not None:
        raise _bad(path, name, reading.problem)
    family: Any = reading.family
    entries: dict[str, Entry] = {}
    reads: dict[str, Read] = {}
    with contextlib.ExitStack() as files:
        try:
            parts = {part: _Part(path / part, files) for part in ("unet", "vae", *_TEXTS[family])}
            for key, theirs in unet_originals(parts["unet"].entries).items():
                _add(entries, reads, UNET_PREFIX + theirs, parts["unet"], key)
            _add_texts(entries, reads, family, [parts[part] for part in _TEXTS[family]])
            _add_vae(entries, reads, parts["vae"])
            metadata = _metadata(path)
            usual = _usual(path, entries, family)
        except (SafetensorError, HeaderError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise _bad(path, name, "corrupt", repr(error)) from error
        if not usual:
            detail = {"reason": "folder_shape", "checkpoint": name}
            raise EngineError("bad_input", f"{path}: a single file cannot say what its configuration says", detail)
        yield FolderTensors(entries, metadata, reads)


class _Part:
    """The weights of one network of the folder."""

    def __init__(self, folder: Path, files: contextlib.ExitStack) -> None:
        weights = folder_weights(folder)
        if weights is None:
            raise ValueError(f"no weights in {folder.name}")
        read_header(weights)  # its bounds, before anything is mapped
        file = files.enter_context(safe_open(weights, framework="pt", device="cpu"))
        self.read: Callable[[str], torch.Tensor] = file.get_tensor
        self.entries: dict[str, Entry] = {}
        for key in file.keys():  # noqa: SIM118 (it is no mapping)
            part = file.get_slice(key)
            self.entries[key] = Entry(tuple(part.get_shape()), DTYPES[str(part.get_dtype())])


def _add(entries: dict[str, Entry], reads: dict[str, Read], to: str, part: _Part, key: str) -> None:
    entries[to], reads[to] = part.entries[key], lambda: part.read(key)


def _add_texts(entries: dict[str, Entry], reads: dict[str, Read], family: Family, texts: list[_Part]) -> None:
    for place, part in zip(text_parts(family, {}), texts, strict=True):
        names = {key.removeprefix("text_model."): key for key in part.entries}
        if place.kind == "clip_l":
            for name, key in names.items():
                if name != "text_projection.weight":
                    _add(entries, reads, f"{place.prefix}text_model.{name}", part, key)
            continue
        for to, sources in open_clip_originals(names).items():
            if to == "text_projection" and not place.projects:
                continue
            _add_joined(entries, reads, place.prefix + to, part, [names[source] for source in sources])


def _add_joined(entries: dict[str, Entry], reads: dict[str, Read], to: str, part: _Part, keys: list[str]) -> None:
    first = part.entries[keys[0]]
    if to.endswith("text_projection"):
        entries[to] = Entry(first.shape[::-1], first.dtype)
        reads[to] = lambda: part.read(keys[0]).T.contiguous()
    elif len(keys) == 1:
        _add(entries, reads, to, part, keys[0])
    else:
        shape = (sum(part.entries[key].shape[0] for key in keys), *first.shape[1:])
        entries[to] = Entry(shape, first.dtype)
        reads[to] = lambda: torch.cat([part.read(key) for key in keys])


def _add_vae(entries: dict[str, Entry], reads: dict[str, Read], part: _Part) -> None:
    names = vae_names(part.entries)
    for key, name in names.items():
        to = VAE + vae_originals(names.values())[name]
        shape = part.entries[key].shape
        if ".mid.attn_" in to and len(shape) == 2:  # matrices here, convolutions there
            shape = (*shape, 1, 1)
        entries[to] = Entry(shape, part.entries[key].dtype)
        reads[to] = lambda key=key, shape=shape: part.read(key).reshape(shape)


def _metadata(path: Path) -> dict[str, str]:
    prediction = _config(path / "scheduler" / "scheduler_config.json").get("prediction_type")
    return {"modelspec.prediction_type": "v"} if prediction == "v_prediction" else {}


def _usual(path: Path, entries: dict[str, Entry], family: Family) -> bool:
    """Whether what a loader takes for granted is what the folder's configuration says."""
    shapes = {key: entry.shape for key, entry in entries.items()}
    if (type_of(shapes) or (None,))[0] != family:
        return False
    said, derived = _config(path / "unet" / "config.json"), unet_config(shapes, family)
    vae = _config(path / "vae" / "config.json")
    schedule = _config(path / "scheduler" / "scheduler_config.json")
    return (
        all(key not in said or _plain(said[key]) == _plain(derived[key]) for key in _SAID)
        and vae.get("norm_num_groups", 32) == 32
        and abs(float(vae.get("scaling_factor", 0.18215)) - latent_scale(family)) < 1e-4
        and all(schedule.get(key, value) == value for key, value in _SCHEDULE.items())
        and not schedule.get("rescale_betas_zero_snr")
    )


def _plain(value: Any) -> Any:
    """A list of equal numbers says the same as the number."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values[0] if len(set(values)) == 1 else values


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise TypeError(f"no configuration: {path.name}")
    return found


def _bad(path: Path, name: str, problem: str, why: str = "") -> EngineError:
    return EngineError("bad_model", f"{path}: {why or problem}", {"checkpoint": name, "problem": problem})
