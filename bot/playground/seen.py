"""What a person at the page gets to see: messages, answers, refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

__all__ = ["Answer", "Refused", "SeenMessage", "walk"]


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure
    """The page would have shown this sentence; `key` is stable, `option` names the field at fault."""

    def __init__(self, key: str, option: str | None, text: str) -> None:
        super().__init__(f"{key}: {text}" if option is None else f"{key} ({option}): {text}")
        self.key = key
        self.option = option
        self.text = text


@dataclass(frozen=True)
class Answer:
    """How the bot answered an interaction. `kind` is message, deferred, deferred_update, update, modal, autocomplete,
    or None where "The application did not respond"."""

    interaction_id: str
    kind: str | None
    message_id: str | None
    modal: Mapping[str, Any] | None
    choices: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class SeenMessage:
    """A message as one person sees it; `raw` is Discord's message object with the page's addresses."""

    raw: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.raw["id"]

    @property
    def channel_id(self) -> str:
        return self.raw["channel_id"]

    @property
    def content(self) -> str:
        return self.raw["content"]

    @property
    def ephemeral(self) -> bool:
        return self.raw["ephemeral"]

    @property
    def loading(self) -> bool:
        return self.raw["loading"]

    @property
    def author_is_bot(self) -> bool:
        return bool(self.raw["author"].get("bot"))

    @property
    def attachments(self) -> Sequence[Mapping[str, Any]]:
        return self.raw["attachments"]

    @property
    def reactions(self) -> Mapping[str, int]:
        return {item["emoji"]["name"]: item["count"] for item in self.raw["reactions"]}

    def components(self) -> Iterator[Mapping[str, Any]]:
        """Every component, nested ones too, in reading order."""
        return walk(self.raw["components"])

    @property
    def text(self) -> str:
        """Content, embeds and all text components, by lines."""
        parts = [self.content]
        for embed in self.raw["embeds"]:
            parts += [str(embed.get("title") or ""), str(embed.get("description") or "")]
            parts += [f"{item['name']}: {item['value']}" for item in embed.get("fields") or ()]
        parts += [item["content"] for item in self.components() if item["type"] == 10]
        return "\n".join(part for part in parts if part)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all buttons, disabled ones too."""
        return tuple(item.get("label") or "" for item in self.components() if item["type"] == 2)

    @property
    def media(self) -> tuple[str, ...]:
        """Addresses of all pictures in galleries, thumbnails, files and attachments, each once."""
        found: list[str] = []
        for item in self.components():
            if item["type"] == 12:
                found += [entry["media"]["url"] for entry in item["items"]]
            elif item["type"] in (11, 13):
                found.append(item["media" if item["type"] == 11 else "file"]["url"])
        found += [item["url"] for item in self.attachments]
        return tuple(dict.fromkeys(found))

    def find(self, wanted: str) -> Mapping[str, Any]:
        """The button or select with this label, placeholder or custom id; raises LookupError."""
        for item in self.components():
            if wanted in (item.get("label"), item.get("custom_id"), item.get("placeholder")) and item.get("custom_id"):
                return item
        raise LookupError(f"no component {wanted!r} in: {[*self.labels]}")


def walk(components: Any) -> Iterator[Mapping[str, Any]]:
    for item in cast("list[Mapping[str, Any]]", components):
        yield item
        yield from walk(item.get("components") or [])
        for key in ("accessory", "component"):
            if item.get(key):
                yield from walk([item[key]])
