"""One file in another precision, with or without its running averages (Model Converter, behaviours §12.5)."""

from __future__ import annotations

from gpu_worker.convert.layout import EMA, ema_key
from gpu_worker.convert.rows import Rows, rows_of
from gpu_worker.convert.source import Source
from gpu_worker.convert.writer import Planned
from gpu_worker.engine.errors import EngineError
from gpu_worker.protocol.specs import ConvertSpec

__all__ = ["converted_rows"]


def converted_rows(source: Source, spec: ConvertSpec) -> Rows:
    """Raises EngineError `bad_input` (`no_ema`)."""
    if spec.model_kind == "vae":
        return rows_of(source, lambda key: not key.startswith((EMA, "loss.", "loss")))
    if spec.model_kind != "checkpoint" or spec.weights == "all":
        return rows_of(source)
    rows = rows_of(source, lambda key: not key.startswith(EMA))
    if spec.weights == "no-ema":
        return rows
    averages = {key: average for key in rows if (average := ema_key(key)) in source.entries}
    if not averages:
        raise EngineError("bad_input", f"{source.path}: no running averages", {"reason": "no_ema"})
    return rows | {key: _average(source, key, average) for key, average in averages.items()}


def _average(source: Source, key: str, average: str | None) -> Planned:
    assert average is not None
    entry = source.entries[average]
    if entry.shape != source.entries[key].shape:
        detail = {"checkpoint": source.name, "problem": "corrupt"}
        raise EngineError("bad_model", f"{source.path}: {average} has the shape of another weight", detail)
    return Planned(entry, lambda: source.read(average))
