"""What the bot does with a request, whoever asked and by whatever: commands, buttons, forms and reactions end here."""

from bot.studio.studio import Studio, StudioParts

__all__ = ["Studio", "StudioParts"]
