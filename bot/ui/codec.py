"""custom_id is an address, never state: `v1:<verb>:<id>[:<n>]`. One codec, disjoint full-match templates.

An id we gave out once must work for ever, so a verb's meaning never changes; a new meaning gets a new verb.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TEMPLATE", "VERBS", "Address", "Verb", "encode", "parse"]

VERSION = "v1"
LIMIT = 100
_ID = "[a-z0-9]{1,25}"


class Verb:
    """Every verb, by what its id addresses."""

    UPSCALE = "upscale"
    """image"""
    VARY = "vary"
    """image; n 1 subtle, 2 strong"""
    UPSCALE_SUBTLE = "upscalesubtle"
    """image; enlarged by an upscaler alone"""
    ZOOM = "zoom"
    """image; n is the factor in percent"""
    ZOOM_CUSTOM = "zoomcustom"
    """image; opens the form"""
    ZOOM_FORM = "zoomform"
    """image; the form's own id"""
    PAN = "pan"
    """image; n 1 left, 2 up, 3 down, 4 right"""
    SQUARE = "square"
    """image"""
    REGION = "region"
    """image; shows it under a grid"""
    REGION_CELLS = "regioncells"
    """image; a list of the grid's cells, or a button; opens the form"""
    REGION_FORM = "regionform"
    """image; the form's own id"""
    FAVOURITE = "favourite"
    """image; keeps it, or keeps it no longer"""
    MORE = "more"
    """job; everything else that can be done with its pictures, and how they were made"""
    MORE_PICTURE = "morepicture"
    """job; a list of its pictures"""
    REROLL = "reroll"
    """job"""
    EDIT = "edit"
    """job; opens the form"""
    EDIT_FORM = "editform"
    """job; the form's own id"""
    STYLE = "style"
    """job; opens the form"""
    STYLE_FORM = "styleform"
    """job; the form's own id"""
    DELETE = "delete"
    """job"""
    CANCEL = "cancel"
    """job"""
    RETRY = "retry"
    """job; the same spec once more"""
    ADVANCED = "advanced"
    """draft; n is a group of parameters, opens its form"""
    ADVANCED_FORM = "advancedform"
    """draft; n as before; the form's own id"""
    DRAW = "draw"
    """draft; becomes a job; n 1 for its user's eyes alone, until they publish it, 2 for everybody"""
    TWEAK = "tweak"
    """job; opens the panel of all its parameters"""
    PICK = "pick"
    """draft; n is a list of the panel"""
    LOOKUP_FORM = "lookupform"
    """draft; n is the list that is searched; the form's own id"""
    REVISE = "revise"
    """draft; n 1 as it was opened, 2 as this person drew the last time"""
    PUBLISH = "publish"
    """job that only its user sees; posts it in the channel"""
    ORIGINAL = "original"
    """job; hands out its files as they were drawn"""
    SHELF = "shelf"
    """shelf; n is a page of the list, none goes back to where it was"""
    SHELF_OPEN = "shelfopen"
    """shelf; a list of its page's files"""
    SHELF_KIND = "shelfkind"
    """shelf; a list of kinds"""
    SHELF_BASE = "shelfbase"
    """shelf; a list of base models"""
    SHELF_SEARCH = "shelfsearch"
    """shelf; opens the form"""
    SHELF_SEARCH_FORM = "shelfsearchform"
    """shelf; the form's own id"""
    SHELF_USE = "shelfuse"
    """shelf with an open file; n 1 use in the next picture, 2 with its trigger words, 3 forget all that was chosen"""
    SHELF_REFRESH = "shelfrefresh"
    """shelf; for admins"""
    MODEL_UNDO = "modelundo"
    """removal of a model file; n is the page of the log that it was pressed on"""
    MODEL_TEST = "modeltest"
    """model file; draws a small picture with it"""
    MODEL_ENABLE = "modelenable"
    """model file"""
    TEST_ENABLE = "testenable"
    """job that tested a model; enables it"""
    DOWNLOAD_CANCEL = "downloadcancel"
    """download"""
    MODEL_AUDIT = "modelaudit"
    """server, or 0 for all; n is the page"""
    MODEL_UNUSED = "modelunused"
    """days; n is the page"""
    QUEUE_PANEL = "queuepanel"
    """live panel of admins; n 1 pause, 2 go on, 3 run dry, 4 look again, 5 close"""
    QUEUE_JOBS = "queuejobs"
    """live panel; a list of its jobs"""
    QUEUE_MOVE = "queuemove"
    """job; n 1 to the front of its server, 2 to the back of it, 3 and 4 of the whole line"""
    QUEUE_DROP = "queuedrop"
    """job"""
    SETUP = "setup"
    """server; n is a step of the wizard"""
    SETUP_CHANNELS = "setupchannels"
    """server; a list of channels; n 1 where may be drawn, 2 where the server's news go"""
    SETUP_ADULT = "setupadult"
    """server; n 1 allows adult content in age-restricted channels, 2 does not"""
    SETUP_LANGUAGE = "setuplanguage"
    """server; a list of languages"""
    SETUP_TEST = "setuptest"
    """server; draws a small picture"""
    EXAMINE = "examine"
    """server, or 0 for all; looks for problems again"""
    USAGE = "usage"
    """server, or 0 for all; n is days"""
    TRASH_EMPTY = "trashempty"
    """server, or 0 for all: deletes for good what was removed"""
    ENLARGE = "enlarge"
    """image; opens the form of /upscale for it"""
    ENLARGE_FORM = "enlargeform"
    """find; n as in FIND; the form's own id"""
    INFO = "info"
    """image; shows how it was made"""
    FIND = "find"
    """find: pictures that somebody pointed at; n is which of them is shown"""
    FIND_DESCRIBE = "finddescribe"
    """find; n as before"""
    FIND_ENLARGE = "findenlarge"
    """find; n as before; opens the form"""
    USE_FOUND = "usefound"
    """find; the parameters of a picture, ready to be drawn; n as before"""
    STYLE_FOUND = "stylefound"
    """find; n as before; opens the form"""
    STYLE_FOUND_FORM = "stylefoundform"
    """find; n as before; the form's own id"""
    USE_SEEN = "useseen"
    """job that described a picture; the same for what that picture says of itself"""
    DRAW_TAGS = "drawtags"
    """job that described a picture; draws what was seen"""
    EDIT_TAGS = "edittags"
    """job that described a picture; opens the form"""
    EDIT_TAGS_FORM = "edittagsform"
    """job; the form's own id"""
    HISTORY = "history"
    """desk: where somebody is in their history; n is a page of it, none goes back to where it was"""
    HISTORY_OPEN = "historyopen"
    """desk; a list of its page's pictures"""
    HISTORY_SEARCH = "historysearch"
    """desk; opens the form"""
    HISTORY_SEARCH_FORM = "historysearchform"
    """desk; the form's own id"""
    HISTORY_FILTER = "historyfilter"
    """desk; n 1 favourites alone, 2 what could not be delivered alone, 3 everything"""
    HISTORY_CHOOSE = "historychoose"
    """desk; n 1 begins to choose pictures, 2 ends it, 3 chooses all that were found"""
    HISTORY_MARK = "historymark"
    """desk; a list of its page's pictures: those that are chosen"""
    HISTORY_DELETE = "historydelete"
    """desk; n 1 asks about the chosen pictures, 2 deletes them, 3 asks about the open one, 4 deletes it"""
    HISTORY_UNDO = "historyundo"
    """deletion; brings its pictures back"""
    HISTORY_EXPORT = "historyexport"
    """desk; packs the chosen pictures, or all that were found"""
    HISTORY_PICTURE = "historypicture"
    """desk with an open picture; n 1 favourite, 2 its file, 3 the newer one, 4 the older one, 5 draws it again"""
    HISTORY_KIN = "historykin"
    """desk; a list of the open picture's relatives"""
    HISTORY_SEND = "historysend"
    """desk; a list of what to do with the open picture"""
    HISTORY_SEND_FORM = "historysendform"
    """desk; n 1 redraw the open picture, 2 inside a mask; the form's own id"""
    EXPORT_PART = "exportpart"
    """export; n is a part, from 1"""
    EXPORT_CANCEL = "exportcancel"
    """export"""
    FORGET = "forget"
    """person; opens the form that asks whether they mean it"""
    FORGET_FORM = "forgetform"
    """person; the form's own id"""

    SETTINGS = "settings"
    """owner of settings (u, c, s or o and an id); a list of the owners whose panel may be shown"""
    SETTINGS_OPEN = "settingsopen"
    """owner of settings; n is a group of settings, opens its form"""
    SETTINGS_FORM = "settingsform"
    """owner of settings; n as before; the form's own id"""
    SETTINGS_RESET = "settingsreset"
    """owner of settings; none asks, n 1 takes back everything that this owner set, 2 does not"""

    COMBINE = "combine"
    """draft that asks for combinations; n 1 draws all, 2 some at random"""


VERBS: frozenset[str] = frozenset(v for k, v in vars(Verb).items() if k.isupper())


@dataclass(frozen=True, slots=True)
class Address:
    verb: str
    id: str
    n: int | None = None


def encode(verb: str, id_: str, n: int | None = None) -> str:
    """Raises ValueError for what `parse` would not give back."""
    text = f"{VERSION}:{verb}:{id_}" + ("" if n is None else f":{n}")
    if parse(text) != Address(verb, id_, n) or len(text) > LIMIT:
        raise ValueError(f"{text!r} is no address")
    return text


_PATTERN = re.compile(rf"{VERSION}:([a-z]+):({_ID})(?::(\d{{1,3}}))?")


def parse(text: str) -> Address | None:
    """None for whatever we never gave out: a custom_id comes from outside."""
    match = _PATTERN.fullmatch(text)
    if match is None or match[1] not in VERBS:
        return None
    n = match[3]
    if n is not None and str(int(n)) != n:
        return None
    return Address(match[1], match[2], None if n is None else int(n))


TEMPLATE = re.compile(_PATTERN.pattern + r"\Z")
"""For the one DynamicItem. `\\Z` because discord.py builds an item on a mere prefix match (ui/dynamic.py)."""
