"""Installed add-ons: what each brings, and why one is not used."""

from __future__ import annotations

from collections.abc import Sequence

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.operator_language import plain
from gpu_worker.language.addons import FoundAddon, installed_addons
from gpu_worker.protocol.messages import AddonFact

__all__ = ["addon_checks", "check_addons"]


def check_addons(say: Texts) -> list[Check]:
    """As this process finds them; their engine parts are looked at by the worker."""
    return addon_checks(say, installed_addons())


def addon_checks(
    say: Texts, found: Sequence[FoundAddon], worker: Sequence[AddonFact] = (), cogs: Sequence[tuple[str, str]] = ()
) -> list[Check]:
    """`worker` is what live workers say of their parts; `cogs` are the add-ons, with reasons, whose commands failed."""
    checks: list[Check] = []
    good: list[str] = []
    for one in found:
        name = plain(one.name)
        problems = [one.problem] if one.problem else []
        problems += [fact.problem for fact in worker if fact.name == one.name and fact.problem and not one.problem]
        problems += [problem for addon, problem in cogs if addon == one.name]
        checks += [
            finding(say, "addons", State.WARN, "broken", name=name, problem=plain(problem))
            for problem in dict.fromkeys(problems)
        ]
        if one.heavy:
            heavy = ", ".join(one.heavy)
            checks.append(finding(say, "addons", State.WARN, "heavy", name=name, libraries=heavy))
        if one.addon is not None and not problems:
            good.append(f"{name} {plain(one.version)}".strip())
    off = [plain(one.name) for one in found if one.off]
    if off:
        checks.append(finding(say, "addons", State.OK, "off", names=", ".join(off)))
    if good:
        checks.insert(0, finding(say, "addons", State.OK, "good", names=", ".join(good)))
    return checks or [finding(say, "addons", State.OK, "none")]
