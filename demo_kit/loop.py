"""One training run: progress, averaged weights, checkpoints to go on from, a record of machine and time."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from demo_kit.device import for_machine, on_gpu, stored
from demo_kit.folders import work_folder

__all__ = ["Schedule", "averaged", "limit_time", "machine", "train"]

_SAVE_EVERY_S = 120
_TELL_EVERY_S = 60
_time_limit: float | None = None


def limit_time(seconds: float | None) -> None:
    """Let runs end after that time, even if they have not made all their steps; None for all of them."""
    global _time_limit
    _time_limit = seconds


@dataclass(frozen=True, slots=True)
class Schedule:
    """`steps` of Adam at `rate`, risen to within `warmup` steps and, after `hold` of all steps, lowered to 2 %."""

    steps: int
    rate: float
    warmup: int = 100
    hold: float = 0.5
    average: float = 0.998
    """Share of the moving average that a step keeps, late in a run."""
    half: bool = False
    """On a GPU, compute in bfloat16 what can be."""

    def done(self, step: int, seconds: float) -> float:
        """Share of the run that lies behind it, 0..1."""
        return max(step / self.steps, seconds / _time_limit if _time_limit else 0.0)

    def rate_at(self, step: int, done: float) -> float:
        """Learning rate."""
        fall = 1.0 if done < self.hold else max(0.02, (1 - done) / (1 - self.hold))
        return self.rate * min(1.0, (step + 1) / self.warmup) * fall


@dataclass(slots=True)
class _State:
    step: int = 0
    seconds: float = 0.0
    recent: list[dict[str, Tensor]] = field(default_factory=list)


def machine() -> str:
    """What this runs on, in one line."""
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return f"{device}, {platform.machine()}, torch {torch.__version__}"


def train(
    name: str, module: nn.Module, loss_at: Callable[[int], tuple[Tensor, dict[str, Tensor]]], plan: Schedule
) -> None:
    """Train what of `module` asks for gradients and leave the averaged weights in it.

    `loss_at(step)` draws its batch from a generator seeded by the step, so that an interrupted run goes on as if it
    had not been one. A finished run is loaded, not run again.
    """
    folder = work_folder("runs") / name
    folder.mkdir(exist_ok=True)
    weights = {key: value for key, value in module.named_parameters() if value.requires_grad}
    average = {key: value.detach().clone() for key, value in weights.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=plan.rate, betas=(0.9, 0.99), weight_decay=1e-3, foreach=True)
    state = _resume(folder, weights, average, optimizer)
    started = saved = told = time.monotonic() - state.seconds
    saved = told = time.monotonic()
    while (done := plan.done(state.step, state.seconds)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate_at(state.step, done)
        with torch.autocast("cuda", torch.bfloat16, enabled=plan.half and on_gpu()):
            loss, figures = loss_at(state.step)
        if (not on_gpu() or state.step % 50 == 0) and not torch.isfinite(loss):  # asking a GPU means waiting for it
            raise SystemExit(f"{name}: the loss is {loss.item()} at step {state.step}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        keep = min(plan.average, (1 + state.step) / (10 + state.step))
        torch._foreach_lerp_(list(average.values()), [value.detach() for value in weights.values()], 1 - keep)
        state.recent.append({"loss": loss.detach(), **{key: value.detach() for key, value in figures.items()}})
        state.step += 1
        now = time.monotonic()
        state.seconds = now - started
        ended = plan.done(state.step, state.seconds) >= 1
        if now - told > for_machine(_TELL_EVERY_S, 10) or ended:
            told = now
            _tell(name, state, plan)
        if now - saved > _SAVE_EVERY_S or ended:
            saved = now
            _save(folder, state, weights, average, optimizer, plan)
    with torch.no_grad():
        for key, value in weights.items():
            value.copy_(average[key])


@contextmanager
def averaged(name: str, module: nn.Module) -> Iterator[None]:
    """Within: `module` with the moving averages of its run, finished or not."""
    held = stored(work_folder("runs") / name / "state.pt")["average"]
    before = {key: value.detach().clone() for key, value in module.named_parameters() if key in held}
    module.load_state_dict(held, strict=False)
    try:
        yield
    finally:
        module.load_state_dict(before, strict=False)


def _resume(folder: Path, weights: dict[str, nn.Parameter], average: dict[str, Tensor], optimizer: Any) -> _State:
    path = folder / "state.pt"
    if not path.exists():
        return _State()
    held = stored(path)
    with torch.no_grad():
        for key, value in weights.items():
            value.copy_(held["weights"][key])
            average[key].copy_(held["average"][key])
    if held["optimizer"]:
        optimizer.load_state_dict(held["optimizer"])
    return _State(held["step"], held["seconds"])


def _save(
    folder: Path,
    state: _State,
    weights: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizer: Any,
    plan: Schedule,
) -> None:
    done = plan.done(state.step, state.seconds) >= 1
    held = {
        "step": state.step, "seconds": state.seconds, "average": average,
        "weights": average if done else {key: value.detach() for key, value in weights.items()},
        "optimizer": {} if done else optimizer.state_dict(),
    }  # fmt: skip
    torch.save(held, folder / "state.part")
    (folder / "state.part").replace(folder / "state.pt")
    record = {"steps": state.step, "of": plan.steps, "minutes": round(state.seconds / 60, 1), "machine": machine()}
    (folder / "record.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _tell(name: str, state: _State, plan: Schedule) -> None:
    names = state.recent[0].keys()
    means = {key: torch.stack([entry[key].float() for entry in state.recent]).mean().item() for key in names}
    left = state.seconds * (1 / max(plan.done(state.step, state.seconds), 1e-3) - 1)
    figures = "  ".join(f"{key} {value:.4f}" for key, value in means.items())
    print(  # noqa: T201
        f"{name}: step {state.step}/{plan.steps}, {state.seconds / 60:.1f} min, {left / 60:.0f} min left  {figures}",
        flush=True,
    )
    state.recent.clear()
