"""Ages under 18, in digits and words: "14 yo", "aged twelve", "fourteen-year-old", "quince años", "16 ans", "15歳"."""

from __future__ import annotations

import re
import time

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
    r"jahre?|jahrige[rsnm]?|jahrig|anni|sai|(?:winters?|summers?|springs?) olds?|"
    r"yrs?(?! (?:later|ago|after|before|apart|of))"
)
_ROMAN = "iii|iv|vi{1,3}|ix|xi{1,3}|xi?v|xvi{1,2}"
"""3, 4, 6 to 9, 11 to 17; single letters are names and exclamations too often."""
_AGED = (
    r"aged?|ages|age of|age is|edad|edad de|edades|idade|idade de|alter|eta|agee?s? de|turning|turned|cumple|cumpliendo"
)
_NOT_YET = (
    r"under|below|less than|younger than|not yet|almost|nearly|sub|menor(?:es)? de|menos de|casi|unter|fast|"
    r"moins de|sotto i|not|isnt|is not|pre|before|before turning"
)
_GRADES = "one|two|three|four|five|six|seven|eight|nine|ten|eleven"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
_ORDINALS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|"
    "fifteenth|sixteenth|seventeenth"
)
_UNITS = "feet|foot|ft|cm|m|meters?|metres?|inch(?:es)?|out|times|of|heads?|steps?|o|pm|am|percent|hundred|thousand"
_PUPIL = "students?|pupils?|girls?|boys?|kids?|class(?:mates?)?|schoolgirls?|schoolboys?"
_AGE = re.compile(
    rf"(?:(?:{_DIGITS}) ?(?:{_OLD})|(?:{_NUMBER}) (?:{_OLD})|(?:{_NUMBER})(?:yos?|years?olds?)"
    rf"|(?:{_AGED}) ?(?:{_NUMBER})"
    rf"|(?:{_NUMBER}|\d{{1,3}}|few|several) ?(?:months?|weeks?|days?) ?olds?|\d{{1,2}} ?(?:meses|mois|monate|mesi)"
    rf"|(?:{_NOT_YET}) ?(?:18|eighteen|dieciocho|dezoito|achtzehn|dix ?huit|diciotto)|u18|minus 18"
    rf"|(?:1[01]|[1-9])(?:st|nd|rd|th) grade(?:rs?)?|grade (?:1[01]|[1-9]|{_GRADES})"
    rf"|year (?:1[01]|[1-9]) (?:{_PUPIL})|[1-6](?:st|nd|rd|th|o|a)? (?:of|de|de la) (?:primary|primaria|eso)"
    rf"|(?:{_ROMAN}) (?:yos?|(?:yrs?|years?) olds?|anos|ans|jahre)|(?:{_AGED}) (?:{_ROMAN})"
    r"|1[0-7]y|1[0-7]f|1[0-7]ish"
    rf"|(?:{_TEENS}) ish|(?:{_ORDINALS}|(?:1[0-7]|[1-9])(?:st|nd|rd|th)) birthday"
    r"|(?:girl|boy|she|he|shes|hes|daughter|son|child) "
    r"(?:is |s |of |who is |whos |thats |that is |just turned |is only )"
    rf"(?:{_TEENS}|1[0-7]|[3-9]|three|four|five|six|seven|eight|nine)(?! (?:{_UNITS})))(?!\S)"
)
_BORN = re.compile(
    r"(?:born|nacid[oa]|nee?|geboren|nascid[oa]|nat[oa])(?: (?:in|en|em|im|nel))?(?: the year)? (2\d{3})(?!\S)"
)
_OF_AGE = 18
_CJK_AGE = re.compile(r"(?<!\d)0?(?:1[0-7]|[0-9]) ?[歳岁歲才살세]")
_OPENING = """
aged age ages edad edades idade alter eta agee agees turning turned cumple cumpliendo under below less younger not
almost nearly sub menor menores menos casi unter fast moins sotto u18 minus grade few several isnt is pre before year
girl boy she he shes hes daughter son child first second third fourth fifth sixth seventh eighth ninth tenth eleventh
twelfth thirteenth fourteenth fifteenth sixteenth seventeenth
iii iv vi vii viii ix xi xii xiii xiv xv xvi xvii 1o 2o 3o 4o 5o 6o 1a 2a 3a 4a 5a 6a
"""
_BIRTHS = frozenset(("born", "nacido", "nacida", "ne", "nee", "geboren", "nascido", "nascida", "nato", "nata"))
_OPENERS = _NUMBERS | frozenset(_OPENING.split())
_GLUED = re.compile(rf"(?:\d+|{_NUMBER})(?:y|f|i|an|j|sai|st|nd|rd|th|m|w|d|$)|(?:{_AGED})\d|(?:under|sub|unter)18")
_LONGEST = 6
"""Words in the longest form: `diez y seis anos`, `12 years of age`."""


def names_minor_age(tokens: list[str]) -> bool:
    """Whether folded words name an age under 18 (months and weeks of age always count)."""
    openers = {token for token in set(tokens) if token in _OPENERS or _GLUED.match(token)}
    return (
        any(
            token in openers and _AGE.match(" ".join(tokens[index : index + _LONGEST]))
            for index, token in enumerate(tokens)
        )
        or _born_late(tokens)
        or any(not token.isascii() and _CJK_AGE.search(token) for token in tokens)
    )


def _born_late(tokens: list[str]) -> bool:
    """A year of birth that makes nobody eighteen for certain, by this machine's calendar."""
    latest = time.gmtime().tm_year - _OF_AGE
    return any(
        token in _BIRTHS
        and (found := _BORN.match(" ".join(tokens[index : index + _LONGEST])))
        and int(found[1]) >= latest
        for index, token in enumerate(tokens)
    )
