"""One layer of wishes about a picture: what a server, a user, a style, the options or the inline flags ask for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

__all__ = ["Parameters"]


@dataclass(frozen=True)
class Parameters:
    """Everything but the texts; None means "no wish here"."""

    checkpoint: str | None = None
    width: int | None = None
    height: int | None = None
    aspect: str | None = None
    """Width to height, such as `16:9`."""
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    """Also with its schedule in one name: `DPM++ 2M Karras`."""
    schedule: str | None = None
    clip_skip: int | None = None
    seed: int | None = None
    count: int | None = None

    def over(self, lower: Parameters) -> Parameters:
        """This layer on top of `lower`. Two groups are taken as a whole, because half of each would be nobody's wish:

        a sampler brings its own schedule (or none), and an aspect or a complete size replaces the lower size; one side
        alone keeps the lower aspect, or else the lower other side.
        """
        if self.sampler is not None:
            lower = replace(lower, schedule=None)
        if self.aspect is not None or (self.width is not None and self.height is not None):
            lower = replace(lower, width=None, height=None, aspect=None)
        elif (self.width is not None or self.height is not None) and lower.aspect is not None:
            lower = replace(lower, width=None, height=None)
        wishes = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(lower, **{name: wish for name, wish in wishes.items() if wish is not None})
