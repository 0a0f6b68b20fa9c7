"""From a spec and the files that it names to the finished file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from gpu_worker.convert.baking import baked_rows
from gpu_worker.convert.converting import converted_rows
from gpu_worker.convert.merging import merged_rows
from gpu_worker.convert.provenance import Origin, provenance
from gpu_worker.convert.rows import Rows, bake_vae, cast_rows, discard, fix_position_ids
from gpu_worker.convert.source import Source, hashed_file, open_source
from gpu_worker.convert.writer import Made, write_safetensors
from gpu_worker.engine.adapters.network_file import read_network
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.networks import LoraRef
from gpu_worker.protocol.messages import ModelKind
from gpu_worker.protocol.specs import BakeSpec, ConvertSpec, FileSpec, MergeSpec

__all__ = ["Named", "Progress", "make_file", "named_files"]

Named = tuple[ModelKind, str]


class Progress(Protocol):
    def check(self) -> None:
        """Raises to stop."""
        ...

    def report(self, done: int, of: int) -> None: ...


@dataclass(frozen=True)
class _Opened:
    origins: tuple[Origin, ...]
    vae: Origin | None

    def source(self, index: int) -> Source:
        return self.origins[index].source


def named_files(spec: FileSpec) -> list[Named]:
    """What it is made from, in order; its VAE is not among them."""
    match spec:
        case ConvertSpec():
            return [(spec.model_kind, spec.model)]
        case MergeSpec():
            return [("checkpoint", name) for name in (spec.first, spec.second, spec.third) if name is not None]
        case BakeSpec():
            return [("checkpoint", spec.checkpoint), *(("lora", lora.name) for lora in spec.loras)]


def make_file(
    spec: FileSpec,
    target: Path,
    find: Callable[[ModelKind, str], Path],
    hash_of: Callable[[Path], str],
    progress: Progress,
) -> Made:
    """Writes `target`, whole or not at all. Raises EngineError, what `progress.check` raises, or OSError.

    Equal files, names and specs give equal bytes, so sums are made on one thread: how a product is divided among
    several may change its last bit.
    """
    with contextlib.ExitStack() as files, _one_thread(), torch.no_grad():
        opened = _open(spec, find, hash_of, files, progress)
        rows, variant = _rows(spec, opened)
        if isinstance(spec, ConvertSpec) and spec.model_kind != "checkpoint":
            parts = None
        else:
            if opened.vae is not None:
                rows = bake_vae(rows, opened.vae.source)
            if spec.fix_clip:
                rows = fix_position_ids(rows)
            parts = spec.parts if isinstance(spec, ConvertSpec) else None
        rows = cast_rows(discard(rows, spec.discard), spec.precision, parts)
        if not rows:
            raise EngineError("bad_input", "nothing is left to be written", {"reason": "nothing_left"})
        metadata = provenance(spec, opened.origins, opened.vae, variant=variant)
        return write_safetensors(target, rows, metadata, check=progress.check, report=progress.report)


def _open(
    spec: FileSpec,
    find: Callable[[ModelKind, str], Path],
    hash_of: Callable[[Path], str],
    files: contextlib.ExitStack,
    progress: Progress,
) -> _Opened:
    def origin(kind: ModelKind, name: str) -> Origin:
        progress.check()
        path = find(kind, name)
        source = files.enter_context(open_source(path, name, kind))
        return Origin(source, hash_of(hashed_file(path)))

    origins = tuple(origin(kind, name) for kind, name in named_files(spec))
    return _Opened(origins, origin("vae", spec.vae) if spec.vae is not None else None)


def _rows(spec: FileSpec, opened: _Opened) -> tuple[Rows, str | None]:
    match spec:
        case ConvertSpec():
            return converted_rows(opened.source(0), spec), None
        case MergeSpec():
            sources = [origin.source for origin in opened.origins]
            a, b, c = [*sources, None, None][:3]
            assert a is not None
            merged = merged_rows(spec, a, b, c)
            return merged.rows, merged.variant
        case BakeSpec():
            return baked_rows(opened.source(0), _networks(spec, opened.origins[1:])), None


def _networks(spec: BakeSpec, origins: Sequence[Origin]) -> list[AppliedNetwork]:
    networks: list[AppliedNetwork] = []
    for wish, origin in zip(spec.loras, origins, strict=True):
        ref = LoraRef(wish.name, te=wish.text_encoder, unet=wish.unet)
        networks.append(AppliedNetwork(ref, read_network(wish.name, origin.source.path), (origin.sha256, 0, 0)))
    return networks


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
