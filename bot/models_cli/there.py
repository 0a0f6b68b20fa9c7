"""What is installed: every model file of all folders, as the worker names them."""

from __future__ import annotations

from dataclasses import dataclass

from bot.catalogue import Entry
from bot.library.sizes import file_bytes
from bot.settings import Settings
from gpu_worker.language.models import ModelFile, scan_model_files
from gpu_worker.protocol.messages import ModelKind

__all__ = ["There", "look"]


@dataclass(frozen=True)
class There:
    models: tuple[ModelFile, ...]

    @property
    def own(self) -> tuple[ModelFile, ...]:
        """Without what ships with the project."""
        return tuple(model for model in self.models if model.root is not None)

    @property
    def unusable(self) -> tuple[ModelFile, ...]:
        return tuple(model for model in self.models if model.fact.problem is not None)

    def has_checkpoint(self) -> bool:
        return any(model.fact.kind == "checkpoint" and model.fact.problem is None for model in self.own)

    def holds(self, entry: Entry) -> ModelFile | None:
        """The file of this entry, by its name: whoever renamed it fetches it once more."""
        names = {entry.name.casefold()} if entry.name else set[str]()
        return next(
            (
                model
                for model in self.own
                if model.fact.kind == entry.kind and model.fact.problem is None and model.path.stem.casefold() in names
            ),
            None,
        )

    def size_bytes(self, kind: ModelKind | None = None) -> int:
        return sum(file_bytes(model.path) for model in self.own if kind in (None, model.fact.kind))


def look(settings: Settings) -> There:
    return There(scan_model_files(settings.models_dir, settings.demo_dir, extra_folders=settings.model_folders))
