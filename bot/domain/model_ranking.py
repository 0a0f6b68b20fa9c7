"""In which order an autocomplete offers models: what fits, what the server recommends, what this person uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process

__all__ = ["Candidate", "rank"]

_ALIKE = 60.0
"""Of 100: below this a name does not resemble what is typed."""
_FEW = 25
"""With as many that match, those that merely resemble it are left out."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """`words` are further texts it is found by: title, alias, trigger words, base model."""

    name: str
    words: str = ""
    favourite: bool = False
    own_uses: int = 0
    all_uses: int = 0
    fits: bool = True
    """Of the chosen checkpoint's family, or nobody knows."""
    marked: bool = False
    """The default here."""


def rank(typed: str, candidates: Sequence[Candidate], limit: int = 25) -> list[Candidate]:
    """At most `limit`, best first; thousands are ranked in a few milliseconds.

    What is typed decides first: a name that begins with it, then one with a word that does, then one that holds it,
    then one whose other words do, then what merely resembles it; but what does not fit the checkpoint goes last.
    Among equals: the default, the server's favourites, this person's own by times used, everybody's, the name.
    """
    wanted = " ".join(typed.casefold().split())
    if not wanted:
        return sorted(candidates, key=_worth)[:limit]
    hits: list[tuple[int, Candidate]] = []
    rest: list[Candidate] = []
    parts = wanted.split()
    for candidate in candidates:
        level = _level(wanted, parts, candidate)
        if level is None:
            rest.append(candidate)
        else:
            hits.append((level, candidate))
    hits.sort(key=lambda hit: (not hit[1].fits, hit[0], *_worth(hit[1])))
    found = [candidate for _, candidate in hits[:limit]]
    if len(found) < min(limit, _FEW) and rest and len(wanted) > 2:
        names = [candidate.name.casefold() for candidate in rest]
        near = process.extract(
            wanted, names, scorer=fuzz.WRatio, limit=min(limit, _FEW) - len(found), score_cutoff=_ALIKE
        )
        found += [rest[index] for _, _, index in near]
    return found


def _worth(candidate: Candidate) -> tuple[bool, bool, bool, int, int, str, str]:
    """Smaller is better."""
    return (
        not candidate.fits,
        not candidate.marked,
        not candidate.favourite,
        -candidate.own_uses,
        -candidate.all_uses,
        candidate.name.casefold(),
        candidate.name,
    )


def _level(wanted: str, parts: list[str], candidate: Candidate) -> int | None:
    name = candidate.name.casefold()
    if name.startswith(wanted):
        return 0
    if wanted in name:
        return 1 if not name[name.index(wanted) - 1].isalnum() else 2
    spread = name.replace("_", " ").replace("-", " ")
    if all(part in spread for part in parts):
        return 3
    words = candidate.words.casefold()
    return 4 if words and all(part in words or part in spread for part in parts) else None
