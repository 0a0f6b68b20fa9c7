"""The styles that Pincel brings, in the order of their file."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from bot.domain.style_names import KeptStyle, StyleLevel, StyleOwner
from bot.domain.styles import make_style

__all__ = ["SHIPPED", "shipped_styles"]

SHIPPED = StyleOwner(StyleLevel.SHIPPED)
_FILE = Path(__file__).with_name("shipped_styles.toml")


@cache
def shipped_styles() -> tuple[KeptStyle, ...]:
    """`ref` is `p` and the key of the file."""
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        KeptStyle(f"p{key}", SHIPPED, make_style(row["name"], row["prompt"], row["negative_prompt"]), row["version"])
        for key, row in rows.items()
    )
