"""Names in a worker's outbox folder, which the pipe transport and the worker share."""

from __future__ import annotations

__all__ = [
    "INPUTS", "KEPT_SUFFIX", "MODEL_MIME", "OUTBOX_SUFFIX", "PART_SUFFIX", "fin_name", "kept_name", "kept_output_name",
    "output_name", "owned_names",
]  # fmt: skip

OUTBOX_SUFFIX = ".fin"
KEPT_SUFFIX = ".kept"
"""The `partial` of a finished part of a job that is not done."""
PART_SUFFIX = ".part"
"""Still being written."""
MODEL_MIME = "application/vnd.safetensors"
INPUTS = "inputs"
"""Folder beside the workers' boxes; an `ImageRef.ref` is a file name in it."""


def fin_name(job: str, attempt: int) -> str:
    return f"{job}.{attempt}{OUTBOX_SUFFIX}"


def kept_name(job: str, attempt: int, n: int) -> str:
    return f"{job}.{attempt}.k{n}{KEPT_SUFFIX}"


def kept_output_name(job: str, attempt: int, n: int, suffix: str) -> str:
    return f"{job}.{attempt}.k{n}{suffix}"


def output_name(job: str, attempt: int, index: int, suffix: str) -> str:
    return f"{job}.{attempt}.{index}{suffix}"


def owned_names(job: str, attempt: int) -> str:
    """Glob for all files of an attempt. Safe: a job's id holds no glob characters (messages.JobKey)."""
    return f"{job}.{attempt}.*"
