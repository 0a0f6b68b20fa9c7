"""A1111's prompt matrix (behaviours §15): `base|a|b` is drawn with every combination of the parts behind the first."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DELIMITERS", "Legend", "MatrixManyError", "MatrixTexts", "matrix_texts"]

DELIMITERS = {"comma": ", ", "space": " "}
Legend = tuple[tuple[str, bool], ...]
"""The lines of one title: a part as it was typed, and whether it is in the prompt there."""


class MatrixManyError(ValueError):
    """More combinations than may be drawn; `count` of them."""

    def __init__(self, parts: int) -> None:
        super().__init__(parts)
        self.parts = parts

    @property
    def count(self) -> int:
        return 1 << self.parts


@dataclass(frozen=True)
class MatrixTexts:
    """Text `n` stands in column `n % columns`, row `n // columns`, and has part `k + 1` where bit `k` of `n` is set."""

    texts: tuple[str, ...]
    columns: int
    rows: int
    column_titles: tuple[Legend, ...]
    row_titles: tuple[Legend, ...]


def matrix_texts(text: str, *, delimiter: str = ", ", at_start: bool = False, most: int) -> MatrixTexts:
    """Every combination; with `at_start` the chosen parts stand before the base. The base and empty parts are kept as
    they are, and `|` counts inside of brackets, too, as in A1111.

    Raises MatrixManyError before anything is made where there would be more than `most`.
    """
    parts = text.split("|")
    base, others = parts[0], [part.strip().strip(",") for part in parts[1:]]
    # Long before a count of combinations is a number to be afraid of.
    if len(others) > most.bit_length() or 1 << len(others) > most:
        raise MatrixManyError(len(others))
    texts: list[str] = []
    for number in range(1 << len(others)):
        chosen = [part for bit, part in enumerate(others) if number >> bit & 1]
        texts.append(delimiter.join([*chosen, base] if at_start else [base, *chosen]))
    across = (len(others) + 1) // 2
    return MatrixTexts(
        tuple(texts),
        columns=1 << across,
        rows=1 << (len(others) - across),
        column_titles=_titles(parts[1 : across + 1]),
        row_titles=_titles(parts[across + 1 :]),
    )


def _titles(parts: list[str]) -> tuple[Legend, ...]:
    return tuple(
        tuple((part, bool(number >> bit & 1)) for bit, part in enumerate(parts)) for number in range(1 << len(parts))
    )
