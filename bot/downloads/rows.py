"""Downloads and sources as rows of the table, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, cast

from bot.downloads.records import Download, DownloadState, DownloadWish
from bot.downloads.sources import Source
from bot.storage.downloads import DownloadRow

__all__ = ["download_of", "row_of", "source_of"]


def row_of(download: Download, source: Source | None, created_at: float) -> DownloadRow:
    return DownloadRow(
        id=download.id,
        link=download.wish.link,
        wish=json.dumps(asdict(download.wish)),
        state=download.state,
        source=json.dumps(asdict(source)) if source is not None else None,
        filename=download.filename,
        received_bytes=download.received_bytes,
        total_bytes=download.total_bytes,
        problem=download.problem,
        problem_values=json.dumps(dict(download.problem_values), default=str),
        file_ids=json.dumps(download.file_ids),
        created_at=created_at,
    )


def download_of(row: DownloadRow) -> Download:
    """Raises TypeError, ValueError for what another version wrote."""
    return Download(
        id=row.id,
        wish=DownloadWish(**_known(DownloadWish, json.loads(row.wish))),
        state=cast("DownloadState", row.state),
        filename=row.filename,
        received_bytes=row.received_bytes,
        total_bytes=row.total_bytes,
        problem=row.problem,
        problem_values=json.loads(row.problem_values),
        file_ids=tuple(json.loads(row.file_ids)),
    )


def source_of(row: DownloadRow) -> Source | None:
    """Raises TypeError, ValueError."""
    return Source(**_known(Source, json.loads(row.source))) if row.source is not None else None


def _known(kind: type[Any], found: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: _frozen(value) for name, value in found.items() if name in names}


def _frozen(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value
