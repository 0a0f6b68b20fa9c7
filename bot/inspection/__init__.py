"""What comes from other people's machines, looked at again before anything of it is kept.

A remote worker is believed in nothing that can be told here: what it sends has to be what was asked for, is written
anew from what the bot itself knows of the job, and is seen by the bot's own classifier, in a process of its own.
"""

from bot.inspection.inspection import Inspection, Sources, UnfitError
from bot.inspection.looker import Looker, LookerTimes

__all__ = ["Inspection", "Looker", "LookerTimes", "Sources", "UnfitError"]
