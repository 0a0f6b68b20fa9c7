"""What a job made, as the transport takes it."""

from __future__ import annotations

import hashlib

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.results import TEXT_MIME
from gpu_worker.task import DrawnPicture, MadeFile, SaidText
from gpu_worker.transport import OutFile

__all__ = ["out_file"]


def out_file(picture: DrawnPicture | MadeFile | SaidText) -> OutFile:
    if isinstance(picture, SaidText):
        return OutFile(
            picture.json,
            m.Output(
                blob="", size_bytes=len(picture.json), sha256=hashlib.sha256(picture.json).hexdigest(), mime=TEXT_MIME,
                width=0, height=0, seed=0, infotext="",
            ),
        )  # fmt: skip
    if isinstance(picture, MadeFile):
        return OutFile(
            picture.path,
            m.Output(
                blob="", size_bytes=picture.size_bytes, sha256=picture.sha256, mime=MODEL_MIME,
                width=0, height=0, seed=0, infotext="",
            ),
        )  # fmt: skip
    return OutFile(
        picture.png,
        m.Output(
            blob="", size_bytes=len(picture.png), sha256=hashlib.sha256(picture.png).hexdigest(), mime="image/png",
            width=picture.width, height=picture.height, seed=picture.seed, variation_seed=picture.variation_seed,
            infotext=picture.infotext,
        ),
    )  # fmt: skip
