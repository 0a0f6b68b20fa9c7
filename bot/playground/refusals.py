"""What Discord refuses about messages and interactions, and SimCord (3.2.1) lets through.

Each function returns nothing or raises SimCord's BackendError with Discord's status and error code. Limits and codes:
Discord's API documentation, resources/message, components/reference, interactions/receiving-and-responding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from simcord.backend import errors
from simcord.backend.cdn import CDN_BASE
from simcord.backend.errors import BackendError
from simcord.backend.models import Interaction
from simcord.components import COMPONENTS_V2_FLAG, walk_components

from bot.playground.cdn import Upload
from bot.playground.embeds import embed_media
from bot.playground.state import LocalDiscord

__all__ = [
    "REQUEST_LIMIT_BYTES",
    "check_callback",
    "check_choices",
    "check_emoji",
    "check_message",
    "check_token",
    "check_uploads",
    "too_large",
]

REQUEST_LIMIT_BYTES = 25 * 1024 * 1024
_NONCE_LENGTH = 25
_ATTACHMENTS = 10
_REACTIONS = 20
_EPHEMERAL_FLAG = 1 << 6
_PING, _COMMAND, _COMPONENT, _AUTOCOMPLETE, _MODAL_SUBMIT = 1, 2, 3, 4, 5
_CALLBACKS = {
    _COMMAND: {4, 5, 9},
    _COMPONENT: {4, 5, 6, 7, 9},
    _AUTOCOMPLETE: {8},
    _MODAL_SUBMIT: {4, 5, 6, 7},
}
"""Which callback types an interaction type accepts; 6 and 7 of a modal need the message it was opened from."""


def too_large() -> BackendError:
    return BackendError(413, 40005, "Request entity too large")


def check_uploads(uploads: Sequence[Upload], limit_bytes: int) -> None:
    """Per-attachment size and count; 413 with 40005 is what a bot must take as the signal to shrink."""
    if len(uploads) > _ATTACHMENTS:
        raise BackendError(400, 30015, "Maximum number of attachments in a message reached (10)")
    if any(upload.size_bytes > limit_bytes for upload in uploads):
        raise too_large()


def check_token(state: LocalDiscord, application_id: int, token: str) -> None:
    """An interaction's token, used as a webhook's: dead after 15 minutes, useless before there is an answer."""
    if application_id != state.application_id:
        if token in state.webhook_tokens:
            return
        raise errors.unknown_webhook()
    record = state.interactions.get(state.interaction_tokens.get(token, 0))
    if record is None or (record.expires_at is not None and state.now_iso() >= record.expires_at):
        raise BackendError(401, 50027, "Invalid Webhook Token")
    if not record.responded:
        raise errors.unknown_webhook()


def check_callback(record: Interaction, callback_type: object, data: dict[str, Any]) -> None:
    """Whether this kind of answer fits this kind of interaction."""
    allowed = _CALLBACKS.get(record.type, set())
    if callback_type not in allowed and callback_type != _PING:
        raise errors.invalid_form_body(f"type: {callback_type} is not an answer to interaction type {record.type}")
    if callback_type in (6, 7) and record.source_message_id is None:
        raise errors.invalid_form_body("type: There is no message to update")
    if callback_type == 5 and int(data.get("flags") or 0) & COMPONENTS_V2_FLAG:
        raise errors.invalid_form_body("data.flags: A deferred response cannot carry IS_COMPONENTS_V2")
    if callback_type == 8:
        check_choices(data.get("choices"))


def check_choices(choices: object) -> None:
    """Autocomplete: at most 25, names 1–100, string values at most 100."""
    if not isinstance(choices, list):
        raise errors.invalid_form_body("data.choices: This field is required")
    found = cast("list[dict[str, Any]]", choices)
    if len(found) > 25:
        raise errors.invalid_form_body("data.choices: Must be 25 or fewer in length.")
    for index, choice in enumerate(found):
        name, value = choice.get("name"), choice.get("value")
        if not isinstance(name, str) or not 1 <= len(name) <= 100:
            raise errors.invalid_form_body(f"data.choices[{index}].name: Must be between 1 and 100 in length.")
        if isinstance(value, str) and not 1 <= len(value) <= 100:
            raise errors.invalid_form_body(f"data.choices[{index}].value: Must be between 1 and 100 in length.")


def check_emoji(state: LocalDiscord, channel_id: int, message_id: int, emoji: str) -> None:
    """A reaction must be an emoji, and a message holds 20 different ones."""
    custom = re.fullmatch(r"\w{2,32}:(\d+)", emoji)
    if (custom is None and re.search(r"[A-Za-z\s]", emoji)) or not emoji:
        raise errors.unknown_emoji()
    message = state.messages.get(channel_id, {}).get(message_id)
    if message is not None and message.reaction_for(emoji) is None and len(message.reactions) >= _REACTIONS:
        raise BackendError(400, 30010, "Maximum number of reactions reached (20)")


def check_message(
    body: dict[str, Any], uploads: Sequence[Upload], *, kept: Sequence[str] = (), previous_flags: int = 0
) -> None:
    """A message about to be sent or edited. `kept` names the files that stay on an edited message."""
    nonce = body.get("nonce")
    if nonce is not None and len(str(nonce)) > _NONCE_LENGTH:
        raise errors.invalid_form_body("nonce: Must be 25 or fewer in length.")
    if len(body.get("attachments") or ()) > _ATTACHMENTS:
        raise BackendError(400, 30015, "Maximum number of attachments in a message reached (10)")
    for attachment in body.get("attachments") or ():
        if len(attachment.get("description") or "") > 1024:
            raise errors.invalid_form_body("attachments.description: Must be 1024 or fewer in length.")
    flags = int(body.get("flags") or 0) | previous_flags
    components: list[dict[str, Any]] = body.get("components") or []
    for component in walk_components(components):
        _check_component(component)
    referenced = set(_file_references(body))
    names = {upload.filename for upload in uploads} | set(kept)
    for missing in sorted(referenced - names):
        raise errors.invalid_form_body(f"The referenced attachment was not found: attachment://{missing}")
    if flags & COMPONENTS_V2_FLAG and "components" in body:
        for unused in sorted({upload.filename for upload in uploads} - referenced):
            raise errors.invalid_form_body(f"components: The attachment {unused} must be referenced by a component")


def _check_component(component: dict[str, Any]) -> None:
    kind = component.get("type")
    if kind == 17 and not component.get("components"):
        raise errors.invalid_form_body("components: A container must have at least one component")
    if kind == 2:
        style = component.get("style")
        if style != 6 and not component.get("label") and not component.get("emoji"):
            raise errors.invalid_form_body("components: A button must have a label or an emoji")
        if style == 5 and urlsplit(str(component.get("url"))).scheme not in {"http", "https", "discord"}:
            raise errors.invalid_form_body("components.url: Scheme must be one of http, https, discord")
    if kind in (3, 5, 6, 7, 8):
        options = cast("list[dict[str, Any]]", component.get("options") or component.get("default_values") or [])
        chosen = [option for option in options if option.get("default") or "label" not in option]
        if len(chosen) > int(component.get("max_values") or 1):
            raise errors.invalid_form_body("components: More options are chosen than max_values allows")
    for url in _media_urls(component):
        if urlsplit(url).scheme not in {"http", "https", "attachment"}:
            raise errors.invalid_form_body("components.media.url: Scheme must be one of http, https, attachment")
        if kind == 13 and not url.startswith(("attachment://", CDN_BASE)):
            raise errors.invalid_form_body("components.file.url: Must be an attachment:// reference")


def _media_urls(component: dict[str, Any]) -> Iterator[str]:
    holders: list[Any] = [component.get("media"), component.get("file")]
    items = cast("list[dict[str, Any]]", component.get("items") or [])
    holders += [item.get("media") for item in items]
    for holder in holders:
        if isinstance(holder, dict):
            url = cast("dict[str, Any]", holder).get("url")
            if isinstance(url, str):
                yield url


def _file_references(body: dict[str, Any]) -> Iterator[str]:
    urls = [url for component in walk_components(body.get("components") or []) for url in _media_urls(component)]
    urls += [str(holder.get(key) or "") for holder in embed_media(body.get("embeds")) for key in ("url", "icon_url")]
    for url in urls:
        if url.startswith("attachment://"):
            yield url.removeprefix("attachment://")
