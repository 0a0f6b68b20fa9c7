"""The desk of a training: what is trained on what, how long it takes, what the guide says, and what can be changed.

Within Discord's limits: 40 components, 4000 characters, at most four buttons a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.domain.mentions import neutral
from bot.domain.training.planning import Plan
from bot.domain.training.wishes import TrainingWish
from bot.i18n import Texts
from bot.storage.training_desks import TrainingDesk
from bot.studio.notes import joined
from bot.studio.trainings.fields import GROUPS
from bot.studio.trainings.forms import FormOf
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row
from gpu_worker.language.training.presets import PRESETS

__all__ = ["DeskLists", "PickOf", "desk_page", "duration", "settings_lines"]

BLUE = 0x5865F2
NAME_CHARS = 100
SAMPLE_CHARS = 150
NOTES_CHARS = 1500
IN_A_ROW = 4
SOON_S = 90


class PickOf:
    """`n` of a list's address."""

    DATASET, BASE, VAE, PRESET = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class DeskLists:
    """What may be chosen; of data sets id and line."""

    datasets: Sequence[Row]
    bases: Sequence[str]
    vaes: Sequence[str]


def desk_page(
    desk: TrainingDesk,
    lists: DeskLists,
    plan: Plan | None,
    seconds: float | None,
    samples: Sequence[str],
    texts: Texts,
    *,
    problem: str = "",
    notes: Sequence[str] = (),
    private: bool,
) -> discord.ui.LayoutView:
    """`plan` None: it cannot be trained, and `problem` says why. `private`: its first button is for its user alone."""
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per desk: its parts are found by their addresses.
    view.stop()
    wish = desk.wish
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
    lines = [f"### {texts('train.title', name=neutral(wish.name, NAME_CHARS) or '…')}"]
    if wish.trigger:
        lines.append(texts("train.trigger", trigger=neutral(wish.trigger, NAME_CHARS)))
    if plan is not None:
        lines += [_length(plan, texts), time_line(seconds, texts)]
    lines += [f"-# {line}" for line in settings_lines(wish, texts)]
    lines += [f"-# {texts('train.sample', n=n, line=neutral(line, SAMPLE_CHARS))}" for n, line in enumerate(samples, 1)]
    if problem:
        lines.append(f"⚠️ {problem}")
    lines.append(joined(notes, NOTES_CHARS, "💡 "))
    box.add_item(discord.ui.TextDisplay("\n".join(lines).rstrip()[:3900]))
    for row in _lists(desk, lists, texts):
        box.add_item(row)
    forms = [button(Verb.TRAIN_OPEN, desk.id, texts("train.group.names"), n=FormOf.NAMES, emoji="🏷️")]
    forms += [button(Verb.TRAIN_OPEN, desk.id, texts(f"train.group.{GROUPS[n].key}"), n=n) for n in GROUPS]
    for start in range(0, len(forms), IN_A_ROW):
        box.add_item(_row(forms[start : start + IN_A_ROW]))
    box.add_item(_row(_ends(desk, texts, private=private)))
    view.add_item(box)
    return view


def _lists(desk: TrainingDesk, lists: DeskLists, texts: Texts) -> list[discord.ui.ActionRow[discord.ui.LayoutView]]:
    wish = desk.wish
    found: list[discord.ui.ActionRow[discord.ui.LayoutView]] = []
    if lists.datasets:
        found.append(
            select_row(
                Verb.TRAIN_PICK, desk.id, texts("train.pick.dataset"), lists.datasets, wish.dataset_id, n=PickOf.DATASET
            )
        )
    if lists.bases:
        rows = [(name, texts("train.base", name=name), "") for name in _with(wish.checkpoint, lists.bases)]
        found.append(
            select_row(Verb.TRAIN_PICK, desk.id, texts("train.pick.base"), rows, wish.checkpoint, n=PickOf.BASE)
        )
    if len(lists.vaes) > 1:
        rows = [(name, f"VAE: {name}", "") for name in _with(wish.vae, lists.vaes)]
        found.append(select_row(Verb.TRAIN_PICK, desk.id, texts("train.pick.vae"), rows, wish.vae, n=PickOf.VAE))
    presets = [(name, texts(f"train.preset.{name}"), texts(f"train.preset_hint.{name}")) for name in PRESETS]
    found.append(
        select_row(Verb.TRAIN_PICK, desk.id, texts("train.pick.preset"), presets, wish.preset, n=PickOf.PRESET)
    )
    return found


def _with(current: str, names: Sequence[str]) -> list[str]:
    """The current one first: a list holds 25."""
    return [*([current] if current in names else []), *(name for name in names if name != current)]


def _ends(desk: TrainingDesk, texts: Texts, *, private: bool) -> list[AddressButton]:
    primary = discord.ButtonStyle.primary
    mine, shown = texts("train.start_private"), texts("train.start_public")
    if private:
        first = button(Verb.TRAIN, desk.id, mine, n=2, style=primary, emoji="🔒")
        other = button(Verb.TRAIN, desk.id, shown, n=1, emoji="📣")
    else:
        first = button(Verb.TRAIN, desk.id, texts("train.start"), n=1, style=primary, emoji="🎓")
        other = button(Verb.TRAIN, desk.id, mine, n=2, emoji="🔒")
    return [
        first,
        other,
        button(Verb.TRAIN_OPEN, desk.id, texts("train.form.config"), n=FormOf.CONFIG, emoji="📄"),
        button(Verb.TRAIN, desk.id, texts("train.refresh"), n=3, emoji="🔄"),
    ]


def _length(plan: Plan, texts: Texts) -> str:
    length = plan.length
    return texts(
        "train.length", pictures=plan.pictures, images=plan.images_per_epoch, batches=length.batches_per_epoch,
        epochs=length.epochs, steps=length.total_steps,
    )  # fmt: skip


def time_line(seconds: float | None, texts: Texts) -> str:
    if seconds is None:
        return texts("train.time_unknown")
    return texts("train.time", duration=duration(seconds, texts))


def duration(seconds: float, texts: Texts) -> str:
    if seconds < SOON_S:
        return texts("train.seconds", n=max(1, round(seconds)))
    minutes = math.ceil(seconds / 60)
    if minutes < 2 * 60:
        return texts("train.minutes", n=minutes)
    return texts("train.hours", n=math.ceil(minutes / 60))


def settings_lines(wish: TrainingWish, texts: Texts) -> list[str]:
    """The parameters that matter most, by their names."""
    own, rules, subset = wish.parameters, wish.rules, wish.subset
    unet, text = own.rates
    network = [f"{own.algo} · network_dim {own.network_dim} · network_alpha {own.network_alpha:g}"]
    if own.conv_dim is not None:
        network.append(f"conv_dim {own.conv_dim}")
    width, height = rules.resolution
    pictures = [f"resolution {width}" if width == height else f"resolution {width},{height}"]
    if rules.enable_bucket:
        pictures.append(f"enable_bucket {rules.min_bucket_reso}–{rules.max_bucket_reso}")
    pictures.append(f"train_batch_size {rules.batch_size}")
    pictures += [key for key, on in (("flip_aug", subset.flip_aug), ("random_crop", subset.random_crop)) if on]
    rates = [
        f"unet_lr {unet:g} · text_encoder_lr {text:g}", own.optimizer_type, own.lr_scheduler,
        f"lr_warmup_steps {own.lr_warmup_steps:g}",
    ]  # fmt: skip
    captions = [f"keep_tokens {subset.keep_tokens}"]
    if subset.shuffle_caption:
        captions.append("shuffle_caption")
    if own.clip_skip is not None:
        captions.append(f"clip_skip {own.clip_skip}")
    return [" · ".join(part) for part in (network, rates, pictures, captions)]


def _row(buttons: Sequence[AddressButton]) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
