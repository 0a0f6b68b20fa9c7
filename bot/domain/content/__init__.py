"""The content rules every text goes through before it may steer a picture; see `rules` for what they say."""

from bot.domain.content.rules import ALLOWED, Category, Verdict, judge, require_allowed

__all__ = ["ALLOWED", "Category", "Verdict", "judge", "require_allowed"]
