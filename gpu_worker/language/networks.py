"""Extra network tags in a prompt: `<lora:name:text-encoder weight:unet weight:rank>`, as A1111 reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "NETWORK_TAG", "LoraRef", "NetworkTag", "NetworkTagError", "lora_refs", "parse_networks",
    "parse_networks_of_batch", "resolve_networks",
]  # fmt: skip

NETWORK_TAG = re.compile(r"<(\w+):([^>]+)>")
LORA_KINDS = frozenset({"lora", "lyco"})


class NetworkTagError(ValueError):
    """A tag whose numbers cannot be read; `name` is the network's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class NetworkTag:
    """One `<kind:argument:…>`; an argument with exactly one `=` is named, the rest are positional."""

    kind: str
    items: tuple[str, ...]

    @property
    def positional(self) -> tuple[str, ...]:
        return tuple(item for item in self.items if item.count("=") != 1)

    @property
    def named(self) -> dict[str, str]:
        return dict(item.split("=") for item in self.items if item.count("=") == 1)


@dataclass(frozen=True)
class LoraRef:
    """A LoRA to apply: its name and its multipliers for text encoder and UNet; `rank` limits it to its first ranks."""

    name: str
    te: float = 1.0
    unet: float = 1.0
    rank: int | None = None


def parse_networks(prompt: str) -> tuple[str, tuple[NetworkTag, ...]]:
    """The prompt without any tag (known or not) and the tags in order. Never raises."""
    tags: list[NetworkTag] = []

    def take(match: re.Match[str]) -> str:
        tags.append(NetworkTag(match[1], tuple(match[2].split(":"))))
        return ""

    return NETWORK_TAG.sub(take, prompt), tuple(tags)


def parse_networks_of_batch(prompts: Sequence[str]) -> tuple[tuple[str, ...], tuple[NetworkTag, ...]]:
    """Every prompt without its tags, and the tags of the first, which decide for the whole batch."""
    parsed = [parse_networks(prompt) for prompt in prompts]
    return tuple(clean for clean, _ in parsed), parsed[0][1] if parsed else ()


def lora_refs(tags: tuple[NetworkTag, ...]) -> tuple[LoraRef, ...]:
    """The LoRAs among `tags`. Raises NetworkTagError where a weight is no number or the name is missing.

    A1111 drops every LoRA of the batch in that case and only logs it; here the user is told. The kind is read in any
    case, for the same reason. A LoRA named twice takes its last multipliers both times, as there.
    """
    refs = [_lora_ref(tag) for tag in tags if tag.kind.lower() in LORA_KINDS]
    last = {ref.name: ref for ref in refs}
    return tuple(last[ref.name] for ref in refs)


def _lora_ref(tag: NetworkTag) -> LoraRef:
    positional, named = tag.positional, tag.named
    name = positional[0] if positional else tag.items[0]
    if not positional or not name:
        raise NetworkTagError(name)
    try:
        # Each place is read even where a name overrides it: A1111 refuses the tag for either.
        te = float(positional[1]) if len(positional) > 1 else 1.0
        te = float(named.get("te", te))
        # The UNet's own place wins over te, but a named te also moves a UNet weight that nobody wrote.
        unet = float(positional[2]) if len(positional) > 2 else te
        unet = float(named.get("unet", unet))
        rank = int(positional[3]) if len(positional) > 3 else None
        rank = int(named["dyn"]) if "dyn" in named else rank
    except ValueError as error:
        raise NetworkTagError(name) from error
    if not (abs(te) < 1e4 and abs(unet) < 1e4) or (rank is not None and rank < 1):
        raise NetworkTagError(name)
    return LoraRef(name, te, unet, rank)


def resolve_networks(
    refs: Sequence[LoraRef], names: Sequence[tuple[str, str | None]]
) -> tuple[tuple[tuple[int, LoraRef], ...], tuple[str, ...]]:
    """Which files the tags mean: ((index in `names`, ref), …) in the order of the tags, and the names not found.

    `names` are (file stem, alias in its metadata) in the order in which the folders were read. Case matters. A later
    file with the same stem or alias wins; an alias that was there already, and "none", mean only stems from then on
    (behaviours §5.3). A name in two tags takes the last one's multipliers both times.
    """
    stems: dict[str, int] = {}
    known: dict[str, int] = {}
    forbidden = {"none"}
    for index, (stem, alias) in enumerate(names):
        label = alias or stem
        if label in known:
            forbidden.add(label.lower())
        stems[stem] = known[stem] = known[label] = index
    last = {ref.name: ref for ref in refs}
    found: list[tuple[int, LoraRef]] = []
    missing: list[str] = []
    for ref in refs:
        index = (stems if ref.name.lower() in forbidden else known).get(ref.name)
        if index is None:
            missing.append(ref.name)
        else:
            found.append((index, last[ref.name]))
    return tuple(found), tuple(missing)
