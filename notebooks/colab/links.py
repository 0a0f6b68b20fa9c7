"""`enlaces_adicionales`: further models by their links. They become entries of the operator's catalogue, so that
`launch.py models verify` asks the host for their hash and `models install` fetches and checks them as any other."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

__all__ = ["KINDS", "BadLinkError", "Wanted", "add_to_catalogue", "read_links"]

KINDS = (
    "checkpoint", "vae", "lora", "embedding", "controlnet", "upscaler", "face", "annotator", "tagger", "preview",
    "detector",
)  # fmt: skip
_SECRET_IN_QUERY = re.compile(r"(?:^|&)(?:token|key|api_?key|access_token)=", re.IGNORECASE)


class BadLinkError(Exception):
    """`reason` is a text below `colab.links`; `shown` is the link without its query, which may hold a secret."""

    def __init__(self, reason: str, shown: str) -> None:
        super().__init__(reason)
        self.reason, self.shown = reason, shown


@dataclass(frozen=True)
class Wanted:
    kind: str
    url: str
    sha256: str | None
    """None: the host has to know it."""

    @property
    def key(self) -> str:
        return "link-" + hashlib.sha256(f"{self.kind} {self.url} {self.sha256 or ''}".encode()).hexdigest()[:12]

    def as_toml(self) -> str:
        """Strings of JSON are strings of TOML."""
        title = unquote(PurePosixPath(urlsplit(self.url).path).name) or self.url
        title = "".join(sign for sign in title if sign.isprintable())[:200]
        rows = {"key": self.key, "title": title, "kind": self.kind}
        place = f"urls = [{json.dumps(self.url)}]" if self.sha256 else f"page = {json.dumps(self.url)}"
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in rows.items()]
        return "\n".join(["\n[[model]]", *lines, place, *([f'sha256 = "{self.sha256}"'] if self.sha256 else [])]) + "\n"


def read_links(text: str) -> tuple[list[Wanted], list[BadLinkError]]:
    """Items between commas or in lines: an optional kind (a checkpoint without one), the link, an optional SHA-256."""
    found: dict[str, Wanted] = {}
    bad: list[BadLinkError] = []
    for item in re.split(r"[,\n]", text):
        if item.strip():
            try:
                wanted = _read(item.split())
            except BadLinkError as error:
                bad.append(error)
            else:
                found[wanted.key] = wanted
    return list(found.values()), bad


def _read(words: list[str]) -> Wanted:
    kind, rest = (words[0].lower(), words[1:]) if "://" not in words[0] else ("checkpoint", words)
    url = rest[0] if rest else ""
    shown = url.partition("?")[0] or " ".join(words)
    try:
        parts = urlsplit(url)
        whole = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadLinkError("no_link", shown) from None
    if kind not in KINDS:
        raise BadLinkError("unknown_kind", shown)
    if not whole or not url.isprintable():
        raise BadLinkError("no_link", shown)
    if "@" in parts.netloc or _SECRET_IN_QUERY.search(parts.query):
        raise BadLinkError("secret", f"https://{parts.hostname}/…")
    if len(rest) > 2 or (len(rest) == 2 and not re.fullmatch(r"[0-9a-fA-F]{64}", rest[1])):
        raise BadLinkError("no_hash", shown)
    return Wanted(kind, url, rest[1].lower() if len(rest) == 2 else None)


def add_to_catalogue(file: Path, wanted: list[Wanted]) -> None:
    """Adds what it lacks; what is there stays as it is. Raises OSError, and ValueError where it cannot be read."""
    text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
    there = {row.get("key") for row in tomllib.loads(text).get("model", ()) if isinstance(row, dict)}
    added = "".join(one.as_toml() for one in wanted if one.key not in there)
    if added:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        part.write_text(text + ("" if not text or text.endswith("\n") else "\n") + added, encoding="utf-8")
        part.replace(file)
