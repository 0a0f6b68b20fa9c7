"""One job whose pictures have texts of their own: each is drawn as a job of one picture, and they report as one."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpu_worker.engine.hooks import Hooks
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef

__all__ = ["Parts"]


@dataclass
class Parts:
    """`of` parts under the hooks of their job. Progress runs once over all of them; the preview is that of the first
    part that is not through with its steps."""

    hooks: Hooks
    of: int
    _steps: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict[tuple[str, int], tuple[int, int]])

    def hooks_of(self, part: int) -> Hooks:
        return _PartHooks(self, part)

    def progress(self, part: int, phase: str, step: int, of: int, preview: bytes | None) -> None:
        self._steps[phase, part] = (step, of)
        told = [self._steps.get((phase, number), (0, of)) for number in range(self.of)]
        leading = next((number for number, (done, whole) in enumerate(told) if done < whole), part)
        self.hooks.progress(
            phase, sum(done for done, _ in told), sum(whole for _, whole in told), preview if part == leading else None
        )


@dataclass(frozen=True)
class _PartHooks:
    parts: Parts
    part: int

    @property
    def preview(self) -> PreviewWish:
        return self.parts.hooks.preview

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None:
        self.parts.progress(self.part, phase, step, of, preview)

    def cancelled(self) -> bool:
        return self.parts.hooks.cancelled()

    def open_image(self, ref: ImageRef) -> bytes:
        return self.parts.hooks.open_image(ref)
