"""Ages under 18, in digits and words: "14 yo", "aged twelve", "fourteen-year-old", "quince años", "16 ans", "15歳"."""

from __future__ import annotations

import re

from bot.domain.content.fold import fold

__all__ = ["names_minor_age"]

_WORDS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
uno un una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete
deux trois quatre cinq sept huit neuf dix onze douze treize quatorze quinze seize
um dois quatro sete oito nove dez doze treze catorze quatorze dezesseis dezasseis dezessete
ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn
due tre quattro cinque sei otto nove dieci undici dodici tredici quattordici quindici sedici diciassette
"""
_NUMBERS = frozenset(fold(_WORDS).split())
_DIGITS = "0?(?:1[0-7]|[0-9])"
_NUMBER = "|".join([_DIGITS, "diez y seis", "dix sept", *sorted(_NUMBERS, key=len, reverse=True)])
_OLD = (
    r"yos?|y ?o|ya|y ?old|(?:yrs?|years?) ?olds?|years? ?young|(?:yrs?|years?) of age|anitos?|anos?|anios?|ans|"
    r"jahre?|jahrige[rsnm]?|jahrig|anni|sai"
)
_AGED = (
    r"aged?|ages|age of|age is|edad|edad de|edades|idade|idade de|alter|eta|agee?s? de|turning|turned|cumple|cumpliendo"
)
_NOT_YET = (
    r"under|below|less than|younger than|not yet|almost|nearly|sub|menor(?:es)? de|menos de|casi|unter|fast|"
    r"moins de|sotto i"
)
_AGE = re.compile(
    rf"(?:(?:{_DIGITS}) ?(?:{_OLD})|(?:{_NUMBER}) (?:{_OLD})|(?:{_NUMBER})(?:yos?|years?olds?)"
    rf"|(?:{_AGED}) ?(?:{_NUMBER})"
    rf"|(?:{_NUMBER}|\d{{1,3}}|few|several) ?(?:months?|weeks?|days?) ?olds?|\d{{1,2}} ?(?:meses|mois|monate|mesi)"
    rf"|(?:{_NOT_YET}) ?(?:18|eighteen|dieciocho|dezoito|achtzehn|dix ?huit|diciotto)|u18|minus 18"
    r"|(?:1[01]|[1-9])(?:st|nd|rd|th) grade(?:rs?)?|grade (?:1[01]|[1-9]))(?!\S)"
)
_CJK_AGE = re.compile(r"(?<!\d)0?(?:1[0-7]|[0-9]) ?[歳岁歲才살세]")
_OPENING = """
aged age ages edad edades idade alter eta agee agees turning turned cumple cumpliendo under below less younger not
almost nearly sub menor menores menos casi unter fast moins sotto u18 minus grade few several
"""
_OPENERS = _NUMBERS | frozenset(_OPENING.split())
_GLUED = re.compile(rf"(?:\d+|{_NUMBER})(?:y|an|j|sai|st|nd|rd|th|m|w|d|$)|(?:{_AGED})\d|(?:under|sub|unter)18")
_LONGEST = 5
"""Words in the longest form: `diez y seis anos`, `12 years of age`."""


def names_minor_age(tokens: list[str]) -> bool:
    """Whether folded words name an age under 18 (months and weeks of age always count)."""
    openers = {token for token in set(tokens) if token in _OPENERS or _GLUED.match(token)}
    return any(
        token in openers and _AGE.match(" ".join(tokens[index : index + _LONGEST]))
        for index, token in enumerate(tokens)
    ) or any(not token.isascii() and _CJK_AGE.search(token) for token in tokens)
