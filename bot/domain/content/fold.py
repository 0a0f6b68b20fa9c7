"""Undoing the ways of writing a word so that it looks the same to a person and different to a program.

`fold` gives one spelling for every look-alike, whatever the case, accents, width or invisible characters. The tables
are a hand-picked part of what Unicode calls confusables (UTS #39): the Latin letters' doubles in other scripts.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["fold", "unleet"]

_DOUBLES = {
    "a": "аαɑᴀΑАａªǻꭺꓮᎪ",
    "b": "ЬвΒВʙƅᏏꓐᏴ",
    "c": "сϲСϹᴄƈↄꮯꓚᏟ",
    "d": "ԁᴅɗđðďꓒꓓᎠ",
    "e": "еεЕΕᴇɛəǝҽєꭼ℮ꓰᎬ",
    "f": "ƒꜰſϝꞙ",
    "g": "ɡɢցġǥԌꓖᏀ",
    "h": "һʜНΗհħĥꓧᎻ",
    "i": "іιІΙıɪɩїӏίıǃꓲɨ",
    "j": "јЈᴊʝϳꓙᎫ",
    "k": "кκКΚᴋƙĸꓗᏦ",
    "l": "ⅼʟłɫℓӀǀƖɭꓡᒪᏞ",
    "m": "мМΜᴍɱꓟᎷ",
    "n": "пηΝɴոռռŋƞпꓠ",
    "o": "оοσОΟᴏөøօѳɵꓳ〇○◯",
    "p": "рρРΡᴘƿþꓑᏢ",
    "q": "ԛզɋ",
    "r": "гᴦʀɾɽяꓣᎡ",
    "s": "ѕЅꜱʂƽꓢᏚ",
    "t": "тτТΤᴛŧƭꓔᎢ",
    "u": "υսᴜʊцυꓴ",
    "v": "ѵνᴠⱱꓦᏙ",
    "w": "ѡωԝᴡшωꓪᏔ",
    "x": "хχХΧ×ᶍꓫ",
    "y": "уγУΥʏүყƴꓬ",
    "z": "ᴢΖƶʐʑꓜᏃ",
    "ae": "æ",
    "oe": "œ",
}
_EMOJI = {
    "🔞": " nsfw ", "👶": " baby ", "🧒": " child ", "👧": " little girl ", "👦": " little boy ", "🍼": " baby ",
    "👼": " baby ", "🚼": " baby ", "🚸": " children ", "🍆": " dick ", "👙": " bikini ", "🩲": " panties ",
}  # fmt: skip


def _table() -> dict[int, str]:
    table = {ord(double): letter for letter, doubles in _DOUBLES.items() for double in doubles}
    for offset in range(26):
        letter = chr(ord("a") + offset)
        # Letters in squares and circles and the flags' letters, which NFKC leaves alone.
        for start in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6):
            table[start + offset] = letter
    table.update({ord(emoji): words for emoji, words in _EMOJI.items()})
    return table


_LOOK_ALIKES = _table()
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_INVISIBLE = frozenset({"Cf", "Cc", "Cs", "Mn", "Me"})


def fold(text: str) -> str:
    """Lower case, compatibility forms and doubles resolved, no accents, no invisible characters; white space stays."""
    if text.isascii():
        return _CONTROLS.sub("", text).lower()
    text = unicodedata.normalize("NFKC", text).translate(_LOOK_ALIKES).casefold().translate(_LOOK_ALIKES)
    kept = (
        character
        for character in unicodedata.normalize("NFKD", text)
        if character in "\n\t" or unicodedata.category(character) not in _INVISIBLE
    )
    # Once more: a double may have stood under an accent ("ё", "ӓ"), which is gone only now.
    return unicodedata.normalize("NFC", "".join(kept).translate(_LOOK_ALIKES))


_LEET = {
    "i": str.maketrans("0134579@$!|€£¢+", "oieastgasiielct"),
    "l": str.maketrans("0134579@$!|€£¢+", "oleastgasllelct"),
}
_LEET_SIGN = re.compile(r"[0134579@$!|€£¢+]")
_AROUND = 4
"""Words kept on either side, so that a phrase of which one word is disguised is still whole."""


def unleet(text: str) -> tuple[str, ...]:
    """Readings of a folded text with digits and signs taken for letters (`l0l1`, `n@ked`); none where it has none.

    1, ! and | are read as i and as l. A number stays a number. Only the disguised words and their neighbours are given.
    """
    chunks = text.split()
    disguised = [index for index, chunk in enumerate(chunks) if _LEET_SIGN.search(chunk) and _disguises(chunk)]
    if not disguised:
        return ()
    readings: list[str] = []
    for table in _LEET.values():
        kept: list[str] = []
        upto = 0
        for index in disguised:
            if index - _AROUND > upto:
                kept.append(";")
            near = chunks[max(upto, index - _AROUND) : index + _AROUND + 1]
            kept += [chunk.translate(table) if _disguises(chunk) else chunk for chunk in near]
            upto = max(upto, index + _AROUND + 1)
        readings.append(" ".join(kept))
    return tuple(readings)


def _disguises(chunk: str) -> bool:
    return len(chunk) == 1 or not _NUMBER.fullmatch(chunk)


_NUMBER = re.compile(r"[\W\d_]+")
