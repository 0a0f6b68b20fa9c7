"""What the guide would say of the captions of a data set, before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bot.domain.captions.editor import tags_of
from bot.domain.captions.tokens import TOKENS_MAX, about_tokens
from bot.domain.mentions import spoken
from bot.domain.notes import Note, named
from bot.domain.training.datasets import Folder, Picture
from gpu_worker.language.training.tag_editor import tag_counts

__all__ = ["STEPS_MAX", "advise"]

STEPS_MAX = 400
"""Images x repeats of an epoch, as the guide has it."""
NEARLY_ALL = 0.8
FEW = 4
"""Of fewer pictures nothing is common."""
LISTED = 8


def advise(pictures: Iterable[Picture], folders: Sequence[Folder]) -> list[Note]:
    """The most urgent first. Regularisation pictures do not count."""
    learnt = {folder.id: folder for folder in folders if not folder.is_reg}
    own = [picture for picture in pictures if picture.folder_id in learnt]
    if not own:
        return []
    notes: list[Note] = []
    bare = sum(not picture.caption for picture in own)
    if bare:
        notes.append(Note("captions_bare", {"n": bare}))
    long = sum(about_tokens(picture.caption or "") > TOKENS_MAX for picture in own)
    if long:
        notes.append(Note("captions_long", {"n": long, "most": TOKENS_MAX}))
    notes += _of_tags(own)
    steps = sum(learnt[picture.folder_id].repeats for picture in own)
    if steps > STEPS_MAX:
        notes.append(Note("captions_repeats", {"n": steps, "most": STEPS_MAX, "better": max(1, STEPS_MAX // len(own))}))
    return notes


def _of_tags(own: Sequence[Picture]) -> list[Note]:
    lists = [tags for picture in own if (tags := tags_of(picture))]
    if len(lists) < FEW:
        return []
    firsts = Counter(tags[0] for tags in lists)
    trigger, in_front = firsts.most_common(1)[0]
    notes: list[Note] = []
    if in_front < len(lists):
        notes.append(Note("captions_no_trigger", {"n": len(lists) - in_front, "word": spoken(trigger)})
                     if in_front > len(lists) / 2 else Note("captions_trigger"))  # fmt: skip
    else:
        notes.append(Note("captions_keep_tokens", {"word": spoken(trigger)}))
    counts = tag_counts(lists)
    common = [tag for tag, n in counts.most_common() if n >= NEARLY_ALL * len(lists) and tag != trigger]
    if common:
        notes.append(
            Note("captions_common", {"names": named([spoken(tag) for tag in common[:LISTED]]), "n": len(common)})
        )
    return notes
