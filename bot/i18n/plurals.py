"""Which form of a counting sentence a number takes, by language (Unicode CLDR, cardinals of whole numbers).

For the languages that Discord can be shown in. A language that is not named here counts as English does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

__all__ = ["plural_form", "plural_forms"]

Rule = Callable[[int], str]


def _english(n: int) -> str:
    return "one" if n == 1 else "other"


def _none(_: int) -> str:
    return "other"


def _french(n: int) -> str:
    return "one" if n in (0, 1) else "other"


def _czech(n: int) -> str:
    return "one" if n == 1 else "few" if 2 <= n <= 4 else "other"


def _few(n: int) -> bool:
    return n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14)


def _russian(n: int) -> str:
    return "one" if n % 10 == 1 and n % 100 != 11 else "few" if _few(n) else "many"


def _polish(n: int) -> str:
    return "one" if n == 1 else "few" if _few(n) else "many"


def _croatian(n: int) -> str:
    return "one" if n % 10 == 1 and n % 100 != 11 else "few" if _few(n) else "other"


def _lithuanian(n: int) -> str:
    teens = 11 <= n % 100 <= 19
    return "one" if n % 10 == 1 and not teens else "few" if n % 10 >= 2 and not teens else "other"


def _romanian(n: int) -> str:
    return "one" if n == 1 else "few" if n == 0 or 1 <= n % 100 <= 19 else "other"


_RULES: Mapping[str, tuple[Rule, tuple[str, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(("id", "ja", "ko", "th", "vi", "zh"), (_none, ("other",))),
        **dict.fromkeys(("fr", "hi", "pt"), (_french, ("one", "other"))),
        "cs": (_czech, ("one", "few", "other")),
        "hr": (_croatian, ("one", "few", "other")),
        "lt": (_lithuanian, ("one", "few", "other")),
        "pl": (_polish, ("one", "few", "many")),
        "ro": (_romanian, ("one", "few", "other")),
        "ru": (_russian, ("one", "few", "many")),
        "uk": (_russian, ("one", "few", "many")),
    }
)
_USUAL: tuple[Rule, tuple[str, ...]] = (_english, ("one", "other"))


def _of(language: str) -> tuple[Rule, tuple[str, ...]]:
    return _RULES.get(language.split("-")[0], _USUAL)


def plural_form(language: str, n: object) -> str:
    """For whole numbers; whatever else is counted takes the language's last form."""
    rule, forms = _of(language)
    return rule(abs(n)) if isinstance(n, int) else forms[-1]


def plural_forms(language: str) -> tuple[str, ...]:
    """All that a counting sentence of this language has."""
    return _of(language)[1]
