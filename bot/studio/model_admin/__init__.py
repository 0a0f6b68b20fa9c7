"""What admins do with models: /model-admin and the buttons below its answers."""

from bot.studio.model_admin.desk import ADMIN_VERBS, ModelAdmin

__all__ = ["ADMIN_VERBS", "ModelAdmin"]
