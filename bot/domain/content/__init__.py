"""The content rules every text goes through before it may steer a picture; see `rules` for what they say."""

from bot.domain.content.rules import ALLOWED, Category, Verdict, is_sexual, judge, names_minor, require_allowed

__all__ = ["ALLOWED", "Category", "Verdict", "is_sexual", "judge", "names_minor", "require_allowed"]
