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

from demo_kit.folders import work_folder

__all__ = ["Schedule", "averaged", "machine", "train"]

_SAVE_EVERY_S = 120
_TELL_EVERY_S = 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """`steps` of Adam at `rate`, risen to within `warmup` steps and, after `hold` of all steps, lowered to 2 %."""

    steps: int
    rate: float
    warmup: int = 100
    hold: float = 0.5
    average: float = 0.998
    """Share of the moving average that a step keeps, late in a run."""

    def rate_at(self, step: int) -> float:
        done = step / self.steps
        fall = 1.0 if done < self.hold else max(0.02, (1 - done) / (1 - self.hold))
        return self.rate * min(1.0, (step + 1) / self.warmup) * fall


@dataclass(slots=True)
class _State:
    step: int = 0
    seconds: float = 0.0
    recent: list[dict[str, float]] = field(default_factory=list)


def machine() -> str:
    """What this runs on, in one line."""
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return f"{device}, {platform.machine()}, torch {torch.__version__}"


def train(
    name: str, module: nn.Module, loss_at: Callable[[int], tuple[Tensor, dict[str, float]]], plan: Schedule
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
    while state.step < plan.steps:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate_at(state.step)
        loss, figures = loss_at(state.step)
        if not torch.isfinite(loss):
            raise SystemExit(f"{name}: the loss is {loss.item()} at step {state.step}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        keep = min(plan.average, (1 + state.step) / (10 + state.step))
        torch._foreach_lerp_(list(average.values()), [value.detach() for value in weights.values()], 1 - keep)
        state.recent.append({"loss": loss.item(), **figures})
        state.step += 1
        now = time.monotonic()
        state.seconds = now - started
        if now - told > _TELL_EVERY_S or state.step == plan.steps:
            told = now
            _tell(name, state, plan)
        if now - saved > _SAVE_EVERY_S or state.step == plan.steps:
            saved = now
            _save(folder, state, weights, average, optimizer, plan)
    with torch.no_grad():
        for key, value in weights.items():
            value.copy_(average[key])


@contextmanager
def averaged(name: str, module: nn.Module) -> Iterator[None]:
    """Within: `module` with the moving averages of its run, finished or not."""
    held = torch.load(work_folder("runs") / name / "state.pt", weights_only=True)["average"]
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
    held = torch.load(path, weights_only=True)
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
    done = state.step >= plan.steps
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
    means = {key: sum(entry[key] for entry in state.recent) / len(state.recent) for key in names}
    left = state.seconds / state.step * (plan.steps - state.step)
    figures = "  ".join(f"{key} {value:.4f}" for key, value in means.items())
    print(  # noqa: T201
        f"{name}: step {state.step}/{plan.steps}, {state.seconds / 60:.1f} min, {left / 60:.0f} min left  {figures}",
        flush=True,
    )
    state.recent.clear()
