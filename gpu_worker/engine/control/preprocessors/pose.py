"""OpenPose: bodies, and what it finds of hands and faces where the body says they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker
from gpu_worker.engine.control.preprocessors.networks import aux, loaded
from gpu_worker.engine.control.preprocessors.skeletons import Person, Point, drawn
from gpu_worker.language.models import ModelFile

__all__ = ["POSES"]

_BODY, _HAND, _FACE = "body_pose_model", "hand_pose_model", "facenet"


def _without_stage(key: str) -> str:
    """controlnet-aux's networks keep the layers of the files in stages."""
    return key.partition(".")[2]


def _load_body(path: Path, name: str) -> torch.nn.Module:
    return loaded(path, name, aux("open_pose.model").bodypose_model, _without_stage)


def _load_hand(path: Path, name: str) -> torch.nn.Module:
    return loaded(path, name, aux("open_pose.model").handpose_model, _without_stage)


def _load_face(path: Path, name: str) -> torch.nn.Module:
    return loaded(path, name, aux("open_pose.face").FaceNet)


def _estimator(module: str, kind: str, network: torch.nn.Module | None) -> Any:
    """Its own constructor would read a file."""
    if network is None:
        return None
    made = getattr(aux(module), kind).__new__(getattr(aux(module), kind))
    made.model = network
    return made


def _pose(look: Look, *, body: bool = True, hands: bool = False, face: bool = False) -> Picture:
    def network(name: str, load: Any) -> torch.nn.Module | None:
        file: ModelFile | None = look.files.get(name)
        return None if file is None else look.annotators.borrow(file, load)

    networks = network(_BODY, _load_body), network(_HAND, _load_hand), network(_FACE, _load_face)
    detector = aux("open_pose").OpenposeDetector(
        _estimator("open_pose.body", "Body", networks[0]),
        _estimator("open_pose.hand", "Hand", networks[1]),
        _estimator("open_pose.face", "Face", networks[2]),
    )
    found = look.annotators.looked(
        lambda _: detector.detect_poses(look.seen, include_hand=hands, include_face=face),
        *(each for each in networks if each is not None),
    )
    people = [
        Person(
            _points(each.body.keypoints) if body else (),
            [_points(hand) for hand in (each.left_hand, each.right_hand) if hand] if hands else (),
            _points(each.face or ()) if face else (),
        )
        for each in found
    ]
    return drawn(people, *look.seen.shape[:2])


def _points(found: Sequence[Any]) -> list[Point | None]:
    return [
        (float(point.x), float(point.y)) if point is not None and np.isfinite([point.x, point.y]).all() else None
        for point in found
    ]


POSES: dict[str, Maker] = {
    "openpose": _pose,
    "openpose_face": lambda look: _pose(look, face=True),
    "openpose_faceonly": lambda look: _pose(look, body=False, face=True),
    "openpose_hand": lambda look: _pose(look, hands=True),
    "openpose_full": lambda look: _pose(look, hands=True, face=True),
}
