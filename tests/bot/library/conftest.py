"""A real database, real folders, and files of every kind that are holes but for their headers."""

import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from bot.library import Library
from bot.storage.database import Database, open_database
from tests.gpu_worker.language.test_models import KOHYA, SD1, VAE, write

__all__ = ["KOHYA", "SD1", "VAE", "hashed", "png", "write"]


def png(path=None):
    out = io.BytesIO()
    Image.new("RGB", (900, 300), "red").save(out, "PNG")
    if path:
        path.write_bytes(out.getvalue())
    return out.getvalue()


async def hashed(library):
    """Has the queue work until it is empty."""
    await library._hashes._work()


@dataclass
class Rig:
    data: Path
    database: Database
    extra: tuple[Path, ...] = ()

    @property
    def models(self) -> Path:
        return self.data / "models"

    def library(self, **options) -> Library:
        return Library(
            self.database, models_dir=self.models, demo_dir=self.data / "no-demo", extra_folders=self.extra, **options
        )

    async def loaded(self, **options) -> Library:
        library = self.library(**options)
        await library.load()
        return library


@pytest.fixture
async def rig(tmp_path):
    data = tmp_path / "data"
    database = await open_database(data / "pincel.sqlite")
    yield Rig(data, database)
    await database.close()
