"""Who may draw what, where and how much; what becomes of pictures; moderators, and what they are told."""

from bot.studio.safety.parts import SafetyParts

__all__ = ["SafetyParts"]
