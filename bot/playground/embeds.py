"""`attachment://name` inside embeds, which SimCord leaves alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

__all__ = ["embed_media", "resolve_embeds"]


def embed_media(embeds: object) -> Iterator[dict[str, Any]]:
    """Every part of the embeds that may hold an address."""
    if not isinstance(embeds, list):
        return
    for embed in cast("list[Any]", embeds):
        if isinstance(embed, dict):
            for key in ("image", "thumbnail", "footer", "author", "video"):
                holder = cast("dict[str, Any]", embed).get(key)
                if isinstance(holder, dict):
                    yield cast("dict[str, Any]", holder)


def resolve_embeds(embeds: object, attachments: Sequence[dict[str, Any]]) -> None:
    """Replaces references to uploaded files by the files' addresses, as Discord does; in place."""
    by_name = {str(item["filename"]): item for item in attachments}
    for holder in embed_media(embeds):
        for key in ("url", "icon_url"):
            value = str(holder.get(key) or "")
            found = by_name.get(value.removeprefix("attachment://"))
            if found is None or not value.startswith("attachment://"):
                continue
            holder[key] = found["url"]
            holder[f"proxy_{key}"] = found["url"]
            if key == "url" and "width" in found:
                holder["width"], holder["height"] = found["width"], found["height"]
