"""Civitai: pages, versions and download links, by its public API (developer.civitai.com, "Site API")."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from bot.domain.mentions import spoken
from bot.downloads.sources import Source
from bot.downloads.web import Web
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelKind

__all__ = ["resolve"]

_MODEL = re.compile(r"/(?:api/v1/)?models/(\d{1,12})(?:/.*)?")
_VERSION = re.compile(r"/(?:api/v1/model-versions|model-versions|api/download/models)/(\d{1,12})(?:/.*)?")
_KINDS: dict[str, ModelKind | None] = {
    "checkpoint": "checkpoint", "textualinversion": "embedding", "lora": "lora", "locon": "lora", "dora": "lora",
    "lycoris": "lora", "controlnet": "controlnet", "upscaler": "upscaler", "vae": "vae", "detection": None,
    "other": None, "": None,
}  # fmt: skip
_NOT_MODELS = frozenset({"training data", "config", "workflow", "training images"})
_WORDS_MAX, _WORD_CHARS = 32, 200
_LEVEL_FOR_ALL = 2
"""Civitai's second level, the last that needs no warning."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _FileInfo(_Answer):
    format: str | None = None
    size: str | None = None
    fp: str | None = None


class _File(_Answer):
    id: int | None = None
    name: str = ""
    type: str | None = None
    size_kb: float | None = Field(default=None, alias="sizeKB", ge=0, lt=1e12, allow_inf_nan=False)
    primary: bool | None = None
    download_url: str | None = Field(default=None, alias="downloadUrl")
    metadata: _FileInfo | None = None
    hashes: dict[str, Any] | None = None


class _Image(_Answer):
    url: str = ""
    type: str | None = None
    level: int | str | None = Field(default=None, alias="nsfwLevel")


class _Model(_Answer):
    name: str = ""
    type: str | None = None


class _Version(_Answer):
    id: int
    model_id: int | None = Field(default=None, alias="modelId")
    name: str = ""
    base: str | None = Field(default=None, alias="baseModel")
    words: list[str] | None = Field(default=None, alias="trainedWords")
    model: _Model | None = None
    files: list[_File] = []
    images: list[_Image] | None = None


class _Page(_Model):
    id: int
    versions: list[_Version] = Field(default=[], alias="modelVersions")


async def resolve(url: URL, web: Web) -> Source:
    """Raises UserFacingError: `download_civitai_page`, `download_civitai_type`, and those of the web."""
    version, model = await _version(url, web)
    kind_word = (model.type or "").lower()
    if kind_word not in _KINDS:
        raise UserFacingError("download_civitai_type", type=spoken((model.type or "")[:40]))
    file = _chosen(version.files, url)
    address = file.download_url if file else None
    if file is None or not address:
        raise UserFacingError("download_civitai_page")
    kind = "vae" if (file.type or "").lower() == "vae" else _KINDS[kind_word]
    sha256 = str((file.hashes or {}).get("SHA256") or "").lower()
    words = [word.strip()[:_WORD_CHARS] for word in version.words or [] if word.strip()]
    page = URL(web.rules.civitai) / "models" / str(version.model_id) if version.model_id else url
    return Source(
        urls=(address,),
        filename=file.name or None,
        size_bytes=round(file.size_kb * 1024) if file.size_kb else None,
        sha256=sha256 if re.fullmatch(r"[0-9a-f]{64}", sha256) else None,
        kind=kind,
        base=(version.base or "")[:_WORD_CHARS] or None,
        trigger_words=tuple(words[:_WORDS_MAX]),
        preview_url=_preview(version.images or []),
        page=str(page.with_query(modelVersionId=version.id)) if version.model_id else str(page),
        title=f"{model.name} {version.name}".strip()[:_WORD_CHARS] or None,
    )


async def _version(url: URL, web: Web) -> tuple[_Version, _Model]:
    api = URL(web.rules.civitai) / "api" / "v1"
    version_id = url.query.get("modelVersionId", "")
    found = _VERSION.fullmatch(url.path)
    if found is not None:
        version_id = found[1]
    try:
        if re.fullmatch(r"\d{1,12}", version_id):
            version = _Version.model_validate(await web.json(str(api / "model-versions" / version_id)))
            return version, version.model or _Model()
        page = _MODEL.fullmatch(url.path)
        if page is None:
            raise UserFacingError("download_civitai_page")
        model = _Page.model_validate(await web.json(str(api / "models" / page[1])))
    except ValidationError:
        raise UserFacingError("download_bad_answer", host=url.host or "") from None
    newest = next((version for version in model.versions if _models_of(version.files)), None)
    if newest is None:
        raise UserFacingError("download_civitai_page")
    return newest.model_copy(update={"model_id": model.id}), model


def _models_of(files: list[_File]) -> list[_File]:
    return [file for file in files if (file.type or "").lower() not in _NOT_MODELS and file.download_url]


def _chosen(files: list[_File], url: URL) -> _File | None:
    """What a download link asks for; else a safetensors file, the main one before others."""
    models = _models_of(files)
    wanted = {name: value.lower() for name, value in url.query.items() if name in ("type", "format", "size", "fp")}
    matching = [file for file in models if wanted and all(_fact(file, name) == wanted[name] for name in wanted)]

    def rank(file: _File) -> tuple[bool, bool]:
        return not file.name.lower().endswith(".safetensors"), not file.primary

    return min(matching or models, key=rank, default=None)


def _fact(file: _File, name: str) -> str:
    value = file.type if name == "type" else getattr(file.metadata, name, None)
    return str(value or "").lower()


def _preview(images: list[_Image]) -> str | None:
    """The first picture that may be shown to everybody."""
    for image in images:
        shown = image.level in ("None", None) or (isinstance(image.level, int) and image.level <= _LEVEL_FOR_ALL)
        if shown and image.url and (image.type or "image") == "image":
            return image.url
    return None
