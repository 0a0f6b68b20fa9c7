"""Wires the parts of one bot. Everything is injected here; nothing reaches for anything else."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace

import discord

from bot.delivery.deliver import Deliverer
from bot.delivery.machine import Machine
from bot.delivery.ping import Pinger
from bot.delivery.post import Poster
from bot.delivery.progress import CardEditor
from bot.dispatch.dispatcher import Dispatcher, Leases
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SpecResolver
from bot.dispatch.transport import BotTransport
from bot.domain.content import judge
from bot.domain.ids import JobId
from bot.domain.limits import Limits
from bot.domain.model_rules import EVERYWHERE, Rule, Scope
from bot.domain.preferences import Level
from bot.downloads import DownloadWish
from bot.downloads.manager import DownloadRules, Downloads
from bot.downloads.web import Tokens, Web, WebRules
from bot.dynamic.expander import Expander
from bot.dynamic.wildcards import WildcardBook
from bot.library import Library
from bot.settings import Settings
from bot.storage.combinations import CombinationWishes
from bot.storage.database import Database
from bot.storage.download_cards import DownloadCards
from bot.storage.drafts import Drafts
from bot.storage.facts import Facts, Timings
from bot.storage.favourites import Favourites
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.last_tweaks import LastTweaks
from bot.storage.model_choices import NextPictures, Shelves
from bot.storage.model_rules import ModelRules
from bot.storage.preferences import Preferences
from bot.storage.private_jobs import PrivateJobs
from bot.storage.queue_gates import QueueGates
from bot.storage.style_proposals import StyleImports, StyleProposals
from bot.storage.styles import Styles
from bot.storage.tag_boards import TagBoards
from bot.storage.tag_uses import TagUses
from bot.storage.users import Users
from bot.studio.again import Again
from bot.studio.attachments import Attachments
from bot.studio.combinations import COMBINE_VERBS, Combinations
from bot.studio.completion import Completion
from bot.studio.conversions import Conversions
from bot.studio.dynamic import Dynamic
from bot.studio.gate import ModelGate
from bot.studio.habits import Habits
from bot.studio.history.parts import HistoryParts
from bot.studio.intake import Intake
from bot.studio.languages import Languages
from bot.studio.live_catalogue import LiveCatalogue
from bot.studio.looking.parts import LookingParts
from bot.studio.model_admin.board import DownloadBoard
from bot.studio.model_admin.parts import AdminParts
from bot.studio.model_admin.room import Room
from bot.studio.model_names import ModelNames
from bot.studio.models import Models
from bot.studio.operations.parts import Operations
from bot.studio.originals import Originals
from bot.studio.panel_lists import PanelLists
from bot.studio.panels import PANEL_FORMS, PANEL_VERBS, Panels
from bot.studio.picture_parts import PictureParts
from bot.studio.pressed import Pressed
from bot.studio.preview_wishes import PreviewWishes
from bot.studio.publishing import Publishing
from bot.studio.reactions import Reactions
from bot.studio.router import Router
from bot.studio.safety import SafetyParts
from bot.studio.settings_desk import SETTINGS_VERBS, SettingsDesk
from bot.studio.shelves import SHELF_VERBS, Browser
from bot.studio.stewards import Stewards
from bot.studio.styles.desk import STYLE_VERBS, StyleDesk
from bot.studio.styles.notices import StyleNotices
from bot.studio.styles.previews import StylePreviews
from bot.studio.styles.trade import TRADE_VERBS, StyleTrade
from bot.studio.submitted import Submitted
from bot.studio.tag_board import TAG_FORMS, TAG_VERBS, TagBuilder
from bot.studio.tweaks import Remix
from bot.studio.usual import Usuals
from bot.studio.wardrobe import Wardrobe
from bot.studio.wildcard_desk import WildcardDesk
from bot.tags.book import TagBook
from bot.ui.codec import Verb
from gpu_worker.protocol.messages import Progress

__all__ = ["Studio", "StudioParts"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StudioParts:
    """What the composition root opened."""

    settings: Settings
    database: Database
    transport: BotTransport
    leases: Leases = field(default_factory=Leases)
    web: WebRules | None = None
    """Where downloads may go; None: as the settings say."""


class _Relay:
    """The dispatcher's listener: results to the deliverer, progress to the cards."""

    def __init__(self, editor: CardEditor, deliverer: Deliverer) -> None:
        self._editor = editor
        self._deliverer = deliverer

    def progressed(self, progress: Progress) -> None:
        self._editor.progressed(progress)

    def queue_changed(self) -> None:
        self._editor.queue_changed()

    def ended(self, job_id: JobId) -> None:
        self._deliverer.ended(job_id)


class Studio:
    def __init__(self, client: discord.Client, parts: StudioParts) -> None:
        settings, database, transport = parts.settings, parts.database, parts.transport
        self.limits = Limits(max_side_px=settings.max_side, max_queued_per_user=settings.max_queued_per_user)
        self.facts = Facts(database)
        self.timings = Timings(database)
        self.jobs = Jobs(database)
        self.private_jobs = PrivateJobs(database)
        self.images = Images(database, settings.outputs_dir)
        self.favourites = Favourites(database)
        self.inputs = InputPictures(database, settings.inputs_dir)
        self.drafts = Drafts(database)
        self.styles = Styles(database)
        self.catalogue = LiveCatalogue(settings.data)
        self.model_rules = ModelRules(database)
        self.preferences = Preferences(database, self.model_rules)
        self.languages = Languages(self.preferences)
        self.users = Users(database, self.preferences)
        self.library = Library(
            database,
            models_dir=settings.models_dir,
            demo_dir=settings.demo_dir,
            extra_folders=settings.model_folders,
            family_by_hash=self.catalogue.family_of,
            forget=self.model_rules.forget,
        )
        self.room = Room(
            self.library,
            lambda: self.downloads.active(),
            self.jobs.waiting_files,
            quota_gb=settings.server_quota_gb,
            budget_gb=settings.disk_budget_gb,
        )
        self.downloads = Downloads(
            database,
            self.library,
            Web(
                parts.web or WebRules(allow_http=settings.download_http),
                Tokens(settings.civitai_token, settings.huggingface_token),
            ),
            data=settings.data,
            rules=replace(DownloadRules.of(settings), allowance=self.room.allowance, hold=self._hold),
        )
        self.stewards = Stewards(settings.operators, playground=not settings.token.get_secret_value())
        self.safety = SafetyParts(
            client=client,
            database=database,
            jobs=self.jobs,
            images=self.images,
            timings=self.timings,
            stewards=self.stewards,
            dispatcher=lambda: self.dispatcher,
        )
        poster = Poster(client)
        self.preview_wishes = PreviewWishes(
            client=client,
            preferences=self.preferences,
            allowed=self.safety.judge.wish,
            shown=settings.previews,
        )
        self.editor = CardEditor(
            jobs=self.jobs,
            poster=poster,
            previews=settings.previews,
            wants_previews=self.preview_wishes.wanted,
        )
        self.deliverer = Deliverer(
            client=client,
            jobs=self.jobs,
            images=self.images,
            poster=poster,
            editor=self.editor,
            veils=self.safety.judge,
            pinger=Pinger(client=client, jobs=self.jobs, preferences=self.preferences, poster=poster),
        )
        self.gates = QueueGates(database)
        self.dispatcher = Dispatcher(
            jobs=self.jobs,
            timings=self.timings,
            settler=Settler(
                database=database,
                jobs=self.jobs,
                images=self.images,
                transport=transport,
                library=self.library,
                judge=self.safety.judge,
            ),
            resolver=SpecResolver(jobs=self.jobs, images=self.images, inputs=self.inputs, transport=transport),
            transport=transport,
            listener=_Relay(self.editor, self.deliverer),
            leases=parts.leases,
            previews=self.preview_wishes.wish,
            gates=self.gates,
        )
        self.machine = Machine(lambda: bool(self.dispatcher.workers), expected=settings.workers > 0)
        self.next_pictures = NextPictures(database)
        self.models = Models(self.dispatcher, library=self.library, rules=self.model_rules)
        self.model_names = ModelNames(self.models, self.library, self.model_rules)
        self.wildcards = WildcardBook(settings.data / "wildcards")
        self.dynamic = Dynamic(
            Expander(self.wildcards, longest_chars=self.limits.max_expanded_chars),
            self.wildcards,
            self.models,
            self.limits,
        )
        self.tag_book = TagBook(settings.data / "tags")
        self.habits = Habits(self.tag_book, TagUses(database))
        self.intake = Intake(
            dynamic=self.dynamic,
            habits=self.habits,
            jobs=self.jobs,
            inputs=self.inputs,
            dispatcher=self.dispatcher,
            deliverer=self.deliverer,
            editor=self.editor,
            poster=poster,
            machine=self.machine,
            limits=self.limits,
            gate=ModelGate(self.models, self.library),
            preferences=self.preferences,
            private_jobs=self.private_jobs,
            queue_gates=self.gates,
            door=self.safety.door,
        )
        self.combinations = self.intake.combinations = Combinations(
            dynamic=self.dynamic,
            intake=self.intake,
            jobs=self.jobs,
            drafts=self.drafts,
            wishes=CombinationWishes(database),
            inputs=self.inputs,
            timings=self.timings,
            limits=self.limits,
        )
        self.conversions = Conversions(
            intake=self.intake,
            jobs=self.jobs,
            library=self.library,
            models=self.models,
            room=self.room,
            limits=self.limits,
            poster=poster,
        )
        self.deliverer.follow = self.conversions.follow
        self.attachments = Attachments(self.inputs, self.limits)
        self.panels = Panels(
            drafts=self.drafts,
            jobs=self.jobs,
            inputs=self.inputs,
            intake=self.intake,
            models=self.models,
            lists=PanelLists(self.models, self.model_names, Wardrobe(self.styles)),
            attachments=self.attachments,
            last_tweaks=LastTweaks(database),
            limits=self.limits,
        )
        self.pressed = Pressed(
            jobs=self.jobs,
            images=self.images,
            inputs=self.inputs,
            dispatcher=self.dispatcher,
            editor=self.editor,
            intake=self.intake,
            models=self.models,
            panels=self.panels,
            remix=Remix(intake=self.intake, panels=self.panels, preferences=self.preferences),
            limits=self.limits,
        )
        self.submitted = Submitted(
            pressed=self.pressed,
            intake=self.intake,
            images=self.images,
            styles=self.styles,
            models=self.models,
            panels=self.panels,
            limits=self.limits,
        )
        self.originals = Originals(
            jobs=self.jobs, images=self.images, intake=self.intake, judge=self.safety.judge
        )
        self.publishing = Publishing(
            client=client,
            jobs=self.jobs,
            images=self.images,
            deliverer=self.deliverer,
            intake=self.intake,
            judge=self.safety.judge,
            private_jobs=self.private_jobs,
        )
        self.browser = Browser(
            library=self.library,
            rules=self.model_rules,
            shelves=Shelves(database),
            next_pictures=self.next_pictures,
            models=self.models,
            stewards=self.stewards,
        )
        self.board = DownloadBoard(
            client=client,
            downloads=self.downloads,
            cards=DownloadCards(database),
            library=self.library,
            room=self.room,
            stewards=self.stewards,
            attachments=self.attachments,
            folder=settings.data / "downloads" / "attached",
        )
        self.admin = AdminParts(
            database=database,
            library=self.library,
            rules=self.model_rules,
            models=self.models,
            names=self.model_names,
            catalogue=self.catalogue,
            conversions=self.conversions,
            intake=self.intake,
            jobs=self.jobs,
            attachments=self.attachments,
            board=self.board,
            room=self.room,
            stewards=self.stewards,
            limits=self.limits,
            models_dir=settings.models_dir,
        )
        self.wardrobe = Wardrobe(self.styles)
        self.usuals = Usuals(self.preferences, self.models)
        self.settings_desk = SettingsDesk(
            preferences=self.preferences,
            languages=self.languages,
            models=self.models,
            ruling=self.admin.ruling,
            stewards=self.stewards,
            limits=self.limits,
            check_styles=self.wardrobe.check,
            previews=settings.previews,
        )
        self.looking = LookingParts(
            client=client,
            database=database,
            jobs=self.jobs,
            images=self.images,
            inputs=self.inputs,
            styles=self.styles,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
            usuals=self.usuals,
            wardrobe=self.wardrobe,
            panels=self.panels,
            limits=self.limits,
        )
        self.again = Again(
            jobs=self.jobs,
            pressed=self.pressed,
            intake=self.intake,
            models=self.models,
            requests=self.looking.requests,
            wildcards=self.wildcards,
            limits=self.limits,
        )
        self.operations = Operations(
            client=client,
            settings=settings,
            database=database,
            jobs=self.jobs,
            dispatcher=self.dispatcher,
            gates=self.gates,
            machine=self.machine,
            pressed=self.pressed,
            models=self.models,
            intake=self.intake,
            limits=self.limits,
            safety=self.safety,
            facts=self.facts,
            language_of=self.preferences.language,
            stewards=self.stewards,
        )
        self.history = HistoryParts(
            client=client,
            database=database,
            settings=settings,
            jobs=self.jobs,
            images=self.images,
            inputs=self.inputs,
            favourites=self.favourites,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
            limits=self.limits,
            dispatcher=self.dispatcher,
            deliverer=self.deliverer,
            showing=self.safety.judge.shown,
            press=lambda interaction, address: self.router.pressed(interaction, address),
            also_forget=(lambda user_id: self.preferences.forget(Level.USER, user_id),),
        )
        proposals = StyleProposals(database, self.styles)
        self.style_desk = StyleDesk(
            styles=self.styles,
            proposals=proposals,
            wardrobe=self.wardrobe,
            preferences=self.preferences,
            previews=StylePreviews(self.images, self.history.thumbnails, self.intake),
            stewards=self.stewards,
        )
        self.style_trade = StyleTrade(
            styles=self.styles,
            proposals=proposals,
            imports=StyleImports(database),
            wardrobe=self.wardrobe,
            notices=StyleNotices(client, self.users),
            stewards=self.stewards,
        )
        picture_presses, picture_forms = PictureParts(
            jobs=self.jobs,
            images=self.images,
            inputs=self.inputs,
            favourites=self.favourites,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
            limits=self.limits,
        ).answering()
        self.completion = Completion(
            self.tag_book,
            self.habits,
            self.wildcards,
            self.models,
            self.library,
            self.safety.places.adult_allowed,
        )
        self.tag_builder = TagBuilder(
            boards=TagBoards(database),
            completion=self.completion,
            wildcards=self.wildcards,
            requests=self.looking.requests,
            intake=self.intake,
        )
        self.wildcard_desk = WildcardDesk(self.wildcards, self.attachments, self.stewards)
        self.router = Router(
            self.pressed,
            self.submitted,
            presses={
                **picture_presses,
                **self.history.presses,
                **dict.fromkeys(SHELF_VERBS, self.browser),
                **dict.fromkeys(PANEL_VERBS, self.panels),
                Verb.PUBLISH: self.publishing,
                Verb.ORIGINAL: self.originals,
                **self.admin.presses,
                **self.safety.presses,
                **self.operations.presses,
                Verb.DOWNLOAD_CANCEL: self.board,
                **dict.fromkeys(COMBINE_VERBS, self.combinations),
                **dict.fromkeys(TAG_VERBS, self.tag_builder),
                **dict.fromkeys(SETTINGS_VERBS, self.settings_desk),
                **dict.fromkeys(STYLE_VERBS, self.style_desk),
                **dict.fromkeys(TRADE_VERBS, self.style_trade),
                **self.looking.presses,
            },
            forms={
                Verb.SAFETY_FORM: self.safety.panel,
                **picture_forms,
                **self.history.forms,
                Verb.SHELF_SEARCH_FORM: self.browser,
                **dict.fromkeys(TAG_FORMS, self.tag_builder),
                **dict.fromkeys(PANEL_FORMS, self.panels),
                Verb.SETTINGS_FORM: self.settings_desk,
                Verb.STYLE_EDIT_FORM: self.style_desk,
                **self.looking.forms,
            },
            before=self.languages.apply,
        )
        self.reactions = Reactions(
            client=client,
            jobs=self.jobs,
            images=self.images,
            favourites=self.favourites,
            users=self.users,
            intake=self.intake,
            pressed=self.pressed,
        )

    async def start(self) -> None:
        """Called once the client knows its application id, before it is connected."""
        await self.timings.load()
        await self.catalogue.current()
        await self.library.load()
        await self.model_rules.load()
        await self.gates.load()
        await self.preferences.load()
        await self.safety.start()
        await asyncio.to_thread(judge, "")  # builds the word lists before anybody waits for them
        await self.panels.forget_old()
        await self.inputs.sweep()
        await self.private_jobs.stay_private()
        for job in await self.jobs.queue():
            self.editor.watch(job.id)
        self.editor.start(self.dispatcher, self.machine)
        await self.dispatcher.start()
        await self.deliverer.start()
        self.library.subscribe_files(self.dispatcher.rescan)
        self.tag_book.look()
        await self.library.start()
        await self.downloads.start()
        await self.board.start()
        await self.operations.start()
        await self.history.start()

    async def _hold(self, wish: DownloadWish, file_id: str) -> None:
        """An operator's file everywhere, a server's in it."""
        place = EVERYWHERE if wish.asked_in is None else wish.asked_in
        await self.model_rules.put(Rule(place, Scope.SERVER, place, file_id, enabled=False))

    async def stop(self) -> None:
        """Bounded by the parts' own bounds."""
        await self.tag_book.stop()
        await self.history.stop()
        await self.operations.stop()
        await self.board.stop()
        await self.downloads.stop()
        await self.library.stop()
        await self.dispatcher.stop()
        await self.deliverer.stop()
        await self.safety.stop()
        await self.editor.stop()
