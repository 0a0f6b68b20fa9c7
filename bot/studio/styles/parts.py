"""Wires what answers /style."""

from __future__ import annotations

from collections.abc import Mapping

import discord

from bot.storage.database import Database
from bot.storage.images import Images
from bot.storage.preferences import Preferences
from bot.storage.style_proposals import StyleImports, StyleProposals
from bot.storage.styles import Styles
from bot.storage.thumbnails import Thumbnails
from bot.storage.users import Users
from bot.studio.intake import Intake
from bot.studio.router import Forms
from bot.studio.stewards import Stewards
from bot.studio.styles.desk import STYLE_VERBS, StyleDesk
from bot.studio.styles.notices import StyleNotices
from bot.studio.styles.previews import StylePreviews
from bot.studio.styles.trade import TRADE_VERBS, StyleTrade
from bot.studio.wardrobe import Wardrobe
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["StyleParts"]


class StyleParts:
    def __init__(
        self,
        *,
        client: discord.Client,
        database: Database,
        styles: Styles,
        wardrobe: Wardrobe,
        preferences: Preferences,
        users: Users,
        images: Images,
        thumbnails: Thumbnails,
        intake: Intake,
        stewards: Stewards,
    ) -> None:
        proposals = StyleProposals(database, styles)
        self.desk = StyleDesk(
            styles=styles,
            proposals=proposals,
            wardrobe=wardrobe,
            preferences=preferences,
            previews=StylePreviews(images, thumbnails, intake),
            stewards=stewards,
        )
        self.trade = StyleTrade(
            styles=styles,
            proposals=proposals,
            imports=StyleImports(database),
            wardrobe=wardrobe,
            notices=StyleNotices(client, users),
            stewards=stewards,
        )
        self.presses: Mapping[str, Presses] = {
            **dict.fromkeys(STYLE_VERBS, self.desk),
            **dict.fromkeys(TRADE_VERBS, self.trade),
        }
        self.forms: Mapping[str, Forms] = {Verb.STYLE_EDIT_FORM: self.desk}
