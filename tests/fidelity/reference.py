"""Loads the reference values: inputs given to the original A1111 code (1.8 to 1.10), and what it answered."""

import json
from pathlib import Path

import pytest

_VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))


def vectors(feature, *, leave_out=(), only=lambda given: True):
    """pytest parameters (input, expected) of one feature, without the numbers in `leave_out` and inputs not `only`."""
    found = [v for v in _VECTORS if v["feature"] == feature]
    assert found, feature
    kept = [v for v in found if v["id"].rpartition(".")[2] not in leave_out and only(v["input"])]
    assert kept, feature
    return [pytest.param(v["input"], v["expected"], id=v["id"]) for v in kept]
