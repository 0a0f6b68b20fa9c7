"""Where a model may be used, what is drawn with by default, and what a server recommends."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.mentions import spoken
from bot.domain.model_rules import EVERYWHERE, ModelDefaults, Rule, Rules, Scope, Where, is_enabled
from bot.domain.models import AUTOMATIC_VAE, find_checkpoint, find_vae
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.library import LibraryFile
from bot.storage.model_audit import Entry, ModelAudit
from bot.storage.model_rules import ModelRules
from bot.studio.model_admin.files import entry_of
from bot.studio.models import Models
from gpu_worker.language.models import default_checkpoint

__all__ = ["Ruling", "Target"]


class Target:
    """What a rule is about: a channel, a role, the whole server, or everywhere."""

    def __init__(
        self, steward: Steward, *, channel_id: int | None = None, role_id: int | None = None, everywhere: bool = False
    ) -> None:
        """Raises UserFacingError: `rule_one_target`, `rule_server_only`, `rule_operator_only`."""
        if sum((channel_id is not None, role_id is not None, everywhere)) > 1:
            raise UserFacingError("rule_one_target")
        if everywhere and not steward.operator:
            raise UserFacingError("rule_operator_only")
        if steward.guild_id is None and (channel_id is not None or role_id is not None):
            raise UserFacingError("rule_server_only")
        self.guild_id = EVERYWHERE if everywhere else steward.place
        self.scope = Scope.CHANNEL if channel_id else Scope.ROLE if role_id else Scope.SERVER
        self.id = channel_id or role_id or self.guild_id

    @property
    def mention(self) -> str:
        """Empty for a server and for everywhere."""
        return {Scope.CHANNEL: f"<#{self.id}>", Scope.ROLE: f"<@&{self.id}>"}.get(self.scope, "")


class Ruling:
    def __init__(self, rules: ModelRules, audit: ModelAudit, models: Models) -> None:
        self._rules = rules
        self._audit = audit
        self._models = models

    async def allow(self, file: LibraryFile, steward: Steward, target: Target, *, enabled: bool) -> bool:
        """Whether that took back the operator's own no, too, which holds everywhere.

        Raises UserFacingError: `rule_operator_said_no` where a server's admin enables what the operator disabled,
        `rule_off_everywhere` where the operator enables that for one channel or role.
        """
        in_the_way = enabled and self._off_everywhere(file)
        if in_the_way and not steward.operator:
            raise UserFacingError("rule_operator_said_no", name=spoken(file.name))
        if in_the_way and target.scope is not Scope.SERVER:
            # To take it back for all servers is more than somebody says who names a channel.
            raise UserFacingError("rule_off_everywhere", name=spoken(file.name))
        lifted = in_the_way and target.guild_id != EVERYWHERE
        await self._rules.put(Rule(target.guild_id, target.scope, target.id, file.id, enabled))
        if lifted:
            # Or else the operator's yes here would be worth nothing.
            await self._rules.drop(EVERYWHERE, Scope.SERVER, EVERYWHERE, file.id)
            await self._audit.add(entry_of("clear", steward, file, "everywhere"))
        action = "enable" if enabled else "disable"
        where = "everywhere" if target.guild_id == EVERYWHERE else target.mention
        await self._audit.add(entry_of(action, steward, file, where))
        return lifted

    async def enable(self, file: LibraryFile, steward: Steward) -> bool:
        """By a button: where this steward has a say. Returns and raises as `allow`."""
        return await self.allow(file, steward, Target(steward), enabled=True)

    async def clear(self, file: LibraryFile, steward: Steward) -> int:
        """Takes back everything that was said about it in this server, or everywhere; how much that was."""
        said = self._rules.of(steward.place, file.id)
        for rule in said:
            await self._rules.drop(rule.guild_id, rule.scope, rule.target_id, rule.file_id)
        if said:
            await self._audit.add(entry_of("clear", steward, file))
        return len(said)

    def said(self, steward: Steward, file: LibraryFile | None = None) -> list[Rule]:
        """This server's rules and the operator's."""
        file_id = file.id if file else None
        own = self._rules.of(steward.place, file_id)
        return own if steward.place == EVERYWHERE else [*own, *self._rules.of(EVERYWHERE, file_id)]

    def enabled(self, file: LibraryFile, where: Where) -> bool:
        return is_enabled(file, where, self._rules.rules)

    def helps(self, file: LibraryFile, steward: Steward, where: Where) -> bool:
        """Whether `enable` would change anything for whoever asks there."""
        rules = self._rules.rules
        if self.enabled(file, where) or (self._off_everywhere(file) and not steward.operator):
            return False
        said = {**rules.by_file.get(file.id, {}), (steward.place, Scope.SERVER, steward.place): True}
        if steward.place != EVERYWHERE:
            said.pop((EVERYWHERE, Scope.SERVER, EVERYWHERE), None)
        return is_enabled(file, where, Rules({file.id: said}))

    def favourites(self, guild_id: int | None) -> frozenset[str]:
        """Ids of files."""
        return self._rules.favourites(guild_id)

    async def favourite(self, file: LibraryFile, steward: Steward, *, on: bool) -> bool:
        """Whether that changed anything. Raises UserFacingError (`server_only`)."""
        changed = await self._rules.set_favourite(_server(steward), file.id, on=on)
        if changed:
            await self._audit.add(entry_of("favourite" if on else "unfavourite", steward, file))
        return changed

    def defaults(self, steward: Steward, channel_id: int | None) -> ModelDefaults:
        """Raises UserFacingError (`server_only`)."""
        return self._rules.defaults.get((_server(steward), channel_id or 0), ModelDefaults())

    async def set_defaults(
        self, steward: Steward, where: Where, channel_id: int | None, wanted: ModelDefaults, *, clear: bool
    ) -> ModelDefaults:
        """What is given replaces what was there; `clear` begins with nothing. Raises UserFacingError: `server_only`,
        those of `find_checkpoint` and `find_vae`."""
        guild_id = _server(steward)
        there = replace(where, channel_id=channel_id or where.channel_id, role_ids=frozenset())
        facts = self._models.facts(there)
        now = ModelDefaults() if clear else self.defaults(steward, channel_id)
        if wanted.checkpoint is not None:
            now = replace(now, checkpoint=find_checkpoint(wanted.checkpoint, facts).name)
        if wanted.vae is not None:
            checkpoint = find_checkpoint(now.checkpoint or default_checkpoint(facts), facts)
            vae = find_vae(wanted.vae, checkpoint, facts)
            # Chosen by the file's name is what "Automatic" does where nobody says anything.
            now = replace(now, vae=None if vae == AUTOMATIC_VAE and channel_id is None else vae)
        if wanted.clip_skip is not None:
            now = replace(now, clip_skip=wanted.clip_skip)
        await self._rules.set_defaults(guild_id, channel_id or 0, now)
        shown = " · ".join(filter(None, (now.checkpoint, now.vae, str(now.clip_skip or ""))))
        place = f"<#{channel_id}> " if channel_id else ""
        await self._audit.add(Entry("defaults", guild_id, 0, steward.user_id, name=shown or "–", detail=place.strip()))
        return now

    def _off_everywhere(self, file: LibraryFile) -> bool:
        return self._rules.rules.by_file.get(file.id, {}).get((EVERYWHERE, Scope.SERVER, EVERYWHERE)) is False


def _server(steward: Steward) -> int:
    if steward.guild_id is None:
        raise UserFacingError("server_only")
    return steward.guild_id
