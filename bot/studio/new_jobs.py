"""The job that comes of an interaction: who asks for it where, and how it is answered."""

from __future__ import annotations

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, UserId, new_job_id
from bot.domain.job import Action, JobTask, Lane, NewJob, TokenGrant
from bot.ui.client import Interaction

__all__ = ["TOKEN_LIFE_S", "job_from"]

TOKEN_LIFE_S = 15 * 60.0
"""An interaction token's life (receiving-and-responding, PLATFORM.md)."""


def job_from(
    interaction: Interaction,
    task: JobTask,
    action: Action,
    *,
    lane: Lane,
    source_image_id: ImageId | None,
    parent_id: JobId | None,
    private: bool,
) -> NewJob:
    assert interaction.channel_id is not None, "whatever can be sent or pressed has a channel"
    return NewJob(
        id=new_job_id(),
        action=action,
        user_id=UserId(interaction.user.id),
        channel_id=ChannelId(interaction.channel_id),
        guild_id=GuildId(interaction.guild_id) if interaction.guild_id is not None else None,
        locale=str(interaction.locale),
        task=task,
        lane=lane,
        interaction_id=interaction.id,
        grant=TokenGrant(interaction.token, interaction.created_at.timestamp() + TOKEN_LIFE_S),
        parent_id=parent_id,
        source_image_id=source_image_id,
        private=private,
    )
