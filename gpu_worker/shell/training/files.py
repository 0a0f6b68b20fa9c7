"""What becomes of each file that is saved: kept, drawn with, removed again; and where a training's state lies."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gpu_worker.language.training.outputs import epoch_name, epoch_to_remove, final_name, step_name, step_to_remove
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.shell.training.samples import link_or_copy
from gpu_worker.training.hooks import SavedFile

__all__ = ["Desk", "Rules"]


@dataclass(frozen=True)
class Rules:
    """What the configuration says of files and samples."""

    name: str | None
    """As it was said: without one, files are called as sd-scripts calls them then."""
    given: Parameters
    sample_epochs: int | None
    sample_steps: int | None

    def is_kept(self, file: SavedFile) -> bool:
        every, count = self._every(file)
        return file.final or (every is not None and count % every == 0)

    def mark(self, file: SavedFile) -> str | None:
        """How its samples are called; None where none are wanted. Epochs count before steps, as in sd-scripts."""
        of_epoch = file.final or file.path.name == epoch_name(self.name, file.epoch)
        if self.sample_epochs is not None:
            return f"e{file.epoch:06d}" if of_epoch and file.epoch % self.sample_epochs == 0 else None
        if self.sample_steps is not None and file.step % self.sample_steps == 0:
            return f"{file.step:06d}"
        return None

    def called(self, file: SavedFile, name: str) -> SavedFile:
        """The file by the name it is to have; it was saved under `name`. Raises OSError."""
        if self.name is not None or file.final:
            return file
        of_epoch = file.path.name == epoch_name(name, file.epoch)
        target = file.path.with_name(epoch_name(None, file.epoch) if of_epoch else step_name(None, file.step))
        file.path.replace(target)
        return replace(file, path=target)

    def gone(self, file: SavedFile) -> str | None:
        """The file that goes when this one is kept."""
        given = self.given
        if file.final:
            return None
        if file.path.name == epoch_name(self.name, file.epoch):
            gone = epoch_to_remove(file.epoch, given.save_every_n_epochs, given.save_last_n_epochs)
            return None if gone is None else epoch_name(self.name, gone)
        gone = step_to_remove(file.step, given.save_every_n_steps, given.save_last_n_steps)
        return None if gone is None else step_name(self.name, gone)

    def _every(self, file: SavedFile) -> tuple[int | None, int]:
        if file.path.name == epoch_name(self.name, file.epoch):
            return self.given.save_every_n_epochs, file.epoch
        return self.given.save_every_n_steps, file.step


@dataclass(frozen=True)
class Desk:
    """The folder beside the output in which a training lies until it is finished."""

    output: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.output / f"{self.name}-training"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def library(self) -> Path:
        return self.folder / "library" / "models"

    @property
    def final(self) -> Path:
        return self.output / final_name(self.name)

    @property
    def begun(self) -> bool:
        return self._seed_file.is_file()

    @property
    def has_state(self) -> bool:
        """Whether some of it was trained and kept."""
        return any(self.state.glob("state-*.pt"))

    @property
    def _seed_file(self) -> Path:
        return self.folder / "seed"

    @property
    def _waiting(self) -> Path:
        return self.folder / "samples"

    def seed(self, said: int | None, drawn: int) -> int:
        """The one that was said, else that of the training that was begun here, else `drawn`, which is remembered.
        Raises OSError."""
        self.state.mkdir(parents=True, exist_ok=True)
        try:
            before = int(self._seed_file.read_text())
        except (OSError, ValueError):
            before = drawn
        seed = before if said is None else said
        beside = self.folder / ".seed"
        beside.write_text(str(seed))
        beside.replace(self._seed_file)
        return seed

    def put_by(self, file: Path, mark: str) -> None:
        """For samples, which are drawn when the training has let go of its memory. Raises OSError."""
        link_or_copy(file, self._waiting / mark / file.name)

    def waiting(self) -> Iterator[tuple[str, Path]]:
        """Marks and files of samples that are not drawn yet."""
        if self._waiting.is_dir():
            for folder in sorted(self._waiting.iterdir()):
                for file in sorted(folder.glob("*.safetensors")):
                    yield folder.name, file

    def drawn(self, mark: str) -> None:
        shutil.rmtree(self._waiting / mark, ignore_errors=True)

    def clear(self) -> None:
        """Takes away what is ours in the folder, and it where nothing else is left."""
        for folder in (self.state, self.library.parent, self._waiting):
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._seed_file.unlink(missing_ok=True)
            self.folder.rmdir()

    def publish(self, target: Path) -> None:
        """Into the library, as a whole. Raises OSError, FileExistsError where there is such a file."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".publishing-", dir=target.parent) as folder:
            whole = Path(shutil.copyfile(self.final, Path(folder) / target.name))
            try:
                target.hardlink_to(whole)  # unlike a rename it never replaces
            except FileExistsError:
                raise
            except OSError:  # a file system without links
                if target.exists():
                    raise FileExistsError(target) from None
                whole.replace(target)
