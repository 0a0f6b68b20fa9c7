"""Presses one component of a scene again and again, each time from the same card, as anybody who still sees it can."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from bot.playground.person import Answer, Refused
from tests.stage.matrix import friendly
from tests.stage.matrix_scenes import Press, Scene
from tests.stage.stage import Stage
from tests.stage.visitor import StageVisitor

__all__ = ["Button"]

PUT_BACK_MAX = 5
"""Edits and deletions of the presses before may come between putting a card back and pressing it."""


class Button:
    """A component of a scene's card, and what its form is filled with."""

    def __init__(self, stage: Stage, scene: Scene, press: Press) -> None:
        self._stage, self._scene, self._press = stage, scene, press
        self.custom_id = StageVisitor.address(scene.card, press.verb, press.n)
        assert self.custom_id != press.verb, f"no {press.verb} on {scene.card.text!r}"
        self.component = scene.card.find(self.custom_id)
        self._channel, self._message = int(scene.card.channel_id), int(scene.card.id)
        self._kept = copy.deepcopy(self._messages[self._message])
        self._public = False

    @property
    def _messages(self) -> dict[int, Any]:
        return self._stage.discord.messages[self._channel]

    def put_back(self, custom_id: str | None = None, *, public: bool = False) -> None:
        """The card as it was, perhaps with another address, perhaps for everybody to see."""
        self._public = public
        message = self._messages[self._message] = copy.deepcopy(self._kept)
        for item in _walk(message.components):
            if custom_id is not None and item.get("custom_id") == self.custom_id:
                item["custom_id"] = custom_id
        if public:
            message.flags &= ~64

    def gone_in_the_middle(self) -> None:
        """The message is deleted in the very moment in which it is pressed."""
        discord, emit = self._stage.discord, self._stage.discord.emit

        def once(event: str, payload: Any) -> None:
            emit(event, payload)
            if event == "INTERACTION_CREATE":
                discord.emit = emit  # type: ignore[method-assign]
                if self._message in self._messages:
                    discord.delete_message(self._channel, self._message)

        discord.emit = once  # type: ignore[method-assign]

    async def press(self, person: StageVisitor, custom_id: str | None = None) -> Answer:
        custom_id = custom_id or self.custom_id
        values = self._values() if self.component["type"] != 2 else None
        call: dict[str, Any] = {"kind": "component", "channel": str(self._channel), "message": str(self._message)}
        more = {} if values is None else {"values": values}
        for _ in range(PUT_BACK_MAX):
            try:
                return await person._interact(**call, custom_id=custom_id, **more)
            except Refused as refused:
                if refused.key not in ("component.gone", "message.gone"):
                    raise
                # The bot was quicker with the press before this one, which may have taken the message away:
                # whoever had the card in sight still sends it.
                self.put_back(custom_id, public=self._public)
        raise AssertionError(f"{custom_id} is taken away again and again")

    async def whole(self, person: StageVisitor, custom_id: str | None = None) -> list[Answer]:
        """Pressed and, where a form comes, filled in and sent; every answer is held to be a friendly one."""
        answers = [await self.press(person, custom_id)]
        await friendly(person, str(self._channel), answers[0])
        if answers[0].kind == "modal":
            answers.append(await self.fill(person, answers[0]))
            await friendly(person, str(self._channel), answers[1])
        return answers

    async def fill(self, person: StageVisitor, form: Answer) -> Answer:
        assert form.modal is not None
        if self._press.opens is not None:
            assert str(form.modal["custom_id"]).split(":")[1] == self._press.opens
        return await person.fill(form, self._fields(form.modal), dict(self._press.files))

    def _fields(self, modal: Mapping[str, Any]) -> dict[str, object]:
        """What the table says, and a word in what else must be filled in."""
        found = dict(self._press.fields)
        inner = [item.get("component") or item for item in _walk(modal["components"])]
        for item in inner:
            empty = item.get("type") == 4 and item.get("required", True) and not item.get("value")
            if empty and item["custom_id"] not in found:
                found[item["custom_id"]] = "2"
        return found

    def _values(self) -> list[str]:
        values = self._press.values
        if values is None:
            least = max(1, int(self.component.get("min_values") or 1))
            return [option["value"] for option in itertools.islice(self.component["options"], least)]
        roles = {role.name: role.id for role in self._stage.discord.guilds[self._stage.guild_id].roles.values()}
        ids = {"#": self._stage.channel_id, "@": lambda name: roles[name]}
        return [str(ids[value[0]](value[1:])) if value[0] in ids else value for value in values]


def _walk(components: Any) -> Any:
    for item in components:
        yield item
        yield from _walk(item.get("components") or [])
        for key in ("accessory", "component"):
            if item.get(key):
                yield from _walk([item[key]])
