"""The repositories that more than one part of the studio uses."""

from __future__ import annotations

from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.datasets import Datasets
from bot.storage.drafts import Drafts
from bot.storage.facts import Facts, Timings
from bot.storage.favourites import Favourites
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.kept_parts import KeptParts
from bot.storage.model_choices import NextPictures
from bot.storage.model_rules import ModelRules
from bot.storage.preferences import Preferences
from bot.storage.private_jobs import PrivateJobs
from bot.storage.queue_gates import QueueGates
from bot.storage.scripts import Scripts
from bot.storage.styles import Styles
from bot.storage.trainings import Trainings
from bot.storage.users import Users

__all__ = ["Kept"]


class Kept:
    def __init__(self, settings: Settings, database: Database) -> None:
        self.database = database
        self.facts = Facts(database)
        self.timings = Timings(database)
        self.jobs = Jobs(database)
        self.scripts = Scripts(database)
        self.private_jobs = PrivateJobs(database)
        self.images = Images(database, settings.outputs_dir)
        self.parts = KeptParts(database, settings.parts_dir)
        self.trainings = Trainings(database, settings.trainings_dir)
        self.favourites = Favourites(database)
        self.inputs = InputPictures(database, settings.inputs_dir)
        self.datasets = Datasets(database)
        self.drafts = Drafts(database)
        self.styles = Styles(database)
        self.model_rules = ModelRules(database)
        self.preferences = Preferences(database, self.model_rules)
        self.users = Users(database, self.preferences)
        self.gates = QueueGates(database)
        self.next_pictures = NextPictures(database)
