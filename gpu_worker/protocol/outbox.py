"""Names in a worker's outbox folder, which the pipe transport and the worker share."""

from __future__ import annotations

__all__ = ["INPUTS", "MODEL_MIME", "OUTBOX_SUFFIX", "PART_SUFFIX", "fin_name", "output_name", "owned_names"]

OUTBOX_SUFFIX = ".fin"
PART_SUFFIX = ".part"
"""Still being written."""
MODEL_MIME = "application/vnd.safetensors"
INPUTS = "inputs"
"""Folder beside the workers' boxes; an `ImageRef.ref` is a file name in it."""


def fin_name(job: str, attempt: int) -> str:
    return f"{job}.{attempt}{OUTBOX_SUFFIX}"


def output_name(job: str, attempt: int, index: int, suffix: str) -> str:
    return f"{job}.{attempt}.{index}{suffix}"


def owned_names(job: str, attempt: int) -> str:
    """Glob for all files of an attempt. Safe: a job's id holds no glob characters (messages.JobKey)."""
    return f"{job}.{attempt}.*"
