"""Model files of a few bytes, a console whose person answers by script, and a network that is a dictionary."""

import contextlib
import hashlib
import io
import json
import os
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from bot.catalogue import Catalogue, Entry
from bot.downloads.beside import fetch_beside
from bot.downloads.fetch import FetchProgress
from bot.downloads.sources import Source
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.models_cli import install as installing
from bot.models_cli import verify as verifying
from bot.models_cli.console import Console
from bot.settings import load_settings


def safetensors(shapes):
    """A whole file of zeros in half precision."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)


EMBEDDING = safetensors({"emb_params": (8, 768)})
LORA = safetensors({"lora_unet_a.lora_down.weight": (2, 4), "lora_unet_a.lora_up.weight": (4, 2)})


def entry(key="easy", content=EMBEDDING, **fields):
    known = {
        "title": key.title(), "kind": "embedding", "family": "sd1", "name": key, "urls": (f"https://example.org/{key}",),
        "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content), "licence": "MIT",
        "page": "https://example.org/page", "allow_pickle": False, "sets": ("start",),
    }  # fmt: skip
    return Entry(key=key, **(known | fields))


@dataclass
class StandIn:
    """What hosts have, by address: bytes of files, and what they say of files and pages. An error is raised."""

    files: dict = field(default_factory=dict)
    said: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def open(self, settings):
        yield self

    async def resolve(self, address):
        self.asked.append(address)
        return self._of(self.said, address)

    async def fetch(self, wanted, folder, on_progress):
        self.asked.append(wanted.urls[0])
        content = self._of(self.files, wanted.urls[0])
        on_progress(FetchProgress(len(content) // 2, len(content), 1000.0, 1.0, "half"))
        target = folder / "whole.bin"
        target.write_bytes(content)
        return target

    async def fetch_beside(self, wanted, folder):
        """Its web is the dictionary; the rest is as it is."""
        web = SimpleNamespace(read=self._read)
        return await fetch_beside(web, wanted.beside_url, wanted.beside_sha256, folder)

    async def _read(self, address, limit_bytes):
        self.asked.append(address)
        return self._of(self.files, address)

    @staticmethod
    def _of(table, address):
        found = table.get(address, UserFacingError("checkpoint_none"))
        if isinstance(found, BaseException):
            raise found
        return found


@pytest.fixture
def network(monkeypatch):
    stand_in = StandIn()
    monkeypatch.setattr(installing, "open_network", stand_in.open)
    monkeypatch.setattr(verifying, "open_network", stand_in.open)
    return stand_in


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A function: settings of an empty data folder, with the given keys on top."""
    for key in list(os.environ):
        if key.startswith(("PINCEL_", "DISCORD_")) or key == "CI":
            monkeypatch.delenv(key)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.setenv("PINCEL_DATA", str(tmp_path / "data"))

    def make(**keys):
        for key, value in keys.items():
            monkeypatch.setenv(key, str(value))
        return load_settings(None)

    return make


class Person(Console):
    """Sits at a terminal, or does not, and answers what is scripted; after that nobody answers."""

    def __init__(self, language, answers, *, here):
        super().__init__(texts_for(language), io.StringIO(), self._answer)
        self.answers, self.here, self.questions = list(answers), here, []

    def _answer(self, question):
        self.questions.append(question)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

    def interactive(self):
        return self.here

    @property
    def shown(self):
        return self.out.getvalue()


@pytest.fixture
def person():
    def make(*answers, language="en", here=True):
        return Person(language, answers, here=here)

    return make


def catalogue_of(*entries):
    return Catalogue(tuple(entries))


def said(sha256, size_bytes=5, urls=("https://example.org/file.safetensors",), filename=None):
    return Source(urls=urls, sha256=sha256, size_bytes=size_bytes, filename=filename)
