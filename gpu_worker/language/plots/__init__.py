"""A1111's X/Y/Z plot as its users write it: values, texts, order of drawing and what pictures say of it
(behaviours §14). What an axis does with a spec is the bot's."""

from __future__ import annotations

from gpu_worker.language.plots.order import cell_index, drawing_order, loop_order
from gpu_worker.language.plots.record import AxisRecord, PlotRecord, is_plot_key, record_fields, recorded_plot
from gpu_worker.language.plots.texts import in_order, is_in, search_and_replace
from gpu_worker.language.plots.values import (
    Kind,
    Value,
    ValuesError,
    ValuesProblem,
    joined_values,
    read_values,
    split_values,
)

__all__ = [
    "AxisRecord", "Kind", "PlotRecord", "Value", "ValuesError", "ValuesProblem", "cell_index", "drawing_order",
    "in_order", "is_in", "is_plot_key", "joined_values", "loop_order", "read_values", "record_fields", "recorded_plot",
    "search_and_replace", "split_values",
]  # fmt: skip
