"""What a model file's header tells people: how precise its numbers are, how it was trained, which words call it up.

Keys of the metadata: kohya's `ss_*` (behaviours §5.4, §24.6), `modelspec.*` (Stability AI's model metadata standard),
A1111's `sd_merge_*`, and our own `pincel.*`. All of it is text that somebody wrote into a file, so it is cut and
cleaned, and never trusted to mean anything.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gpu_worker.language.headers import TensorHeader

__all__ = ["VALUE_CHARS_MAX", "WORD_CHARS_MAX", "Details", "clean_words", "details_of", "one_line"]

VALUE_CHARS_MAX = 400
WORDS_MAX = 24
WORD_CHARS_MAX = 120
TAGS_SHOWN = 12
TAGS_LIMIT_CHARS = 8_000_000
CAPTIONS_READ = 500
_WORD = re.compile(r"[^\W\d_]{3,}")
_SENTENCE_CHARS = 16
"""A1111's: tags this long on average are captions, and are counted by their words."""

_KEPT = frozenset({
    "ss_output_name", "ss_base_model_version", "ss_sd_model_name", "ss_resolution", "ss_network_module",
    "ss_network_dim", "ss_network_alpha", "ss_epoch", "ss_num_epochs", "ss_steps", "ss_num_train_images",
    "ss_num_reg_images", "ss_clip_skip", "ss_training_started_at", "ss_training_comment", "ss_optimizer",
    "ss_learning_rate", "ss_unet_lr", "ss_text_encoder_lr", "ss_v2", "ss_mixed_precision", "ss_lr_scheduler",
    "ss_seed", "sshs_model_hash", "sshs_legacy_hash", "sd_merge_recipe", "modelspec.title", "modelspec.author",
    "modelspec.description", "modelspec.architecture", "modelspec.resolution", "modelspec.license",
    "modelspec.date", "modelspec.trigger_phrase", "modelspec.tags", "modelspec.usage_hint",
    "modelspec.prediction_type", "modelspec.implementation", "modelspec.merged_from",
    "modelspec.sai_model_spec",
})  # fmt: skip
_OURS = "pincel."
_OURS_MAX = 24
_PRECISIONS = {
    "F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8", "F8_E5M2": "fp8",
    "F8_E4M3FNUZ": "fp8", "F8_E5M2FNUZ": "fp8", "F4": "fp4",
    "DoubleStorage": "fp64", "FloatStorage": "fp32", "HalfStorage": "fp16", "BFloat16Storage": "bf16",
}  # fmt: skip
_MOST = 0.9
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")
"""And lone surrogates, which JSON can write and UTF-8 cannot: no frame and no message carries them."""


@dataclass(frozen=True)
class Details:
    precision: str | None = None
    """`fp32`, `fp16`, `bf16`, `fp8` …, or the two most common joined by ` + ` where none has nine tenths of the
    numbers; None for a file without floats."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """A choice, each at most VALUE_CHARS_MAX long and on one line."""
    trigger_words: tuple[str, ...] = ()


def details_of(header: TensorHeader) -> Details:
    """Never raises."""
    metadata = header.metadata
    kept = {key: one_line(value) for key, value in metadata.items() if key in _KEPT and value not in ("", "None")}
    ours = [key for key in metadata if key.startswith(_OURS) and one_line(key, WORD_CHARS_MAX) == key][:_OURS_MAX]
    kept |= {key: one_line(metadata[key]) for key in ours}
    said = metadata.get("modelspec.trigger_phrase", "")
    words = clean_words(said[:TAGS_LIMIT_CHARS].split(",")) or _common_tags(metadata.get("ss_tag_frequency", ""))
    return Details(_precision(header.counts), kept, words)


def one_line(text: str, limit: int = VALUE_CHARS_MAX) -> str:
    """Without control and direction characters and lone surrogates, at most `limit` long; once more changes nothing."""
    return " ".join(_CONTROL.sub(" ", text[: limit * 4]).split())[:limit].rstrip()


def clean_words(words: Iterable[object]) -> tuple[str, ...]:
    """Texts in their order, each once, at most WORDS_MAX; what is no text is left out."""
    found: dict[str, None] = {}
    for word in words:
        cleaned = one_line(word, WORD_CHARS_MAX).strip(", ") if isinstance(word, str) else ""
        if cleaned:
            found.setdefault(cleaned)
        if len(found) == WORDS_MAX:
            break
    return tuple(found)


def _precision(counts: Mapping[str, int]) -> str | None:
    floats: Counter[str] = Counter()
    for kind, count in counts.items():
        if kind in _PRECISIONS:
            floats[_PRECISIONS[kind]] += count
    most = floats.most_common(2)
    if not most:
        return None
    if len(most) == 1 or most[0][1] >= _MOST * sum(floats.values()):
        return most[0][0]
    return " + ".join(name for name, _ in most)


def _common_tags(text: str) -> tuple[str, ...]:
    """The tags that training saw most (behaviours §5.4), from kohya's JSON: folder → tag → count."""
    if not text or len(text) > TAGS_LIMIT_CHARS:
        return ()
    try:
        folders: Any = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    counted: Counter[str] = Counter()
    for tags in cast("dict[Any, Any]", folders).values() if isinstance(folders, dict) else ():
        for tag, count in cast("dict[Any, Any]", tags).items() if isinstance(tags, dict) else ():
            if type(count) is int and tag.strip():
                counted[tag.strip()] += count
    if counted and sum(map(len, counted)) / len(counted) >= _SENTENCE_CHARS:
        words: Counter[str] = Counter()
        for tag, count in counted.most_common(CAPTIONS_READ):
            for word in _WORD.findall(tag):
                words[word.lower()] += count
        counted = words
    ordered = sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))
    return clean_words(tag for tag, _ in ordered[:TAGS_SHOWN])
