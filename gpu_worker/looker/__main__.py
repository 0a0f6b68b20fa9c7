"""`python -m gpu_worker.looker --models FOLDER`: answers the bot's questions about what remote workers send.

A process of its own, because a hostile picture may cost memory and time, or end whoever opens it; the bot starts
another. Without torch: a bot that has no worker of its own has none.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from gpu_worker.engine.safety.guard import PictureGuard, find_classifier
from gpu_worker.language.reader import be_modest
from gpu_worker.looker.pictures import (
    NotAPictureError,
    Written,
    checked_part,
    checked_picture,
    checked_preview,
    texts_of,
)
from gpu_worker.protocol.frames import Unframer, frame
from gpu_worker.protocol.looking import (
    Answer,
    LookAtOwn,
    LookAtPart,
    LookAtPicture,
    LookAtPreview,
    Question,
    ReadText,
    Ready,
    Refused,
    Seen,
    SeenOwn,
    SeenPreview,
    Trouble,
    parse_question,
)
from gpu_worker.protocol.safety import Looked

__all__ = ["main"]

READ_BYTES = 64 * 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gpu_worker.looker", description="The bot starts this itself.")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--name", default="looker")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the bot's terminal is the bot's to handle
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    be_modest(hurry=True)
    # Nothing that a library prints may come between the frames.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    guard = find_classifier(given.models)
    answers.write(frame(Ready()))
    answers.flush()
    unframer = Unframer()
    with contextlib.suppress(BrokenPipeError):
        while data := os.read(0, READ_BYTES):
            for raw in unframer.feed(data):
                answers.write(frame(_answered(parse_question(raw), guard)))
                answers.flush()
    return 0


def _answered(question: Question, guard: PictureGuard | None) -> Answer:
    try:
        match question:
            case LookAtPicture():
                written = checked_picture(question)
                return _kept(written, question.target, guard.look(written.png) if guard is not None else None)
            case LookAtPart():
                return _kept(checked_part(question), question.target, None)
            case LookAtPreview():
                jpeg = checked_preview(question)
                if question.guarded:
                    if guard is None:
                        return Refused(reason="there is no classifier that could look at previews")
                    jpeg = guard.veiled(jpeg)
                return SeenPreview(data=jpeg)
            case LookAtOwn():
                return SeenOwn(looked=_own(Path(question.source), guard))
            case ReadText():
                return texts_of(question.source)
    except NotAPictureError as error:
        return Refused(reason=str(error))
    except OSError as error:
        return Trouble(reason=str(error))


def _own(path: Path, guard: PictureGuard | None) -> Looked | None:
    try:
        return guard.look(path.read_bytes()) if guard is not None else None
    except FileNotFoundError:
        return None  # lost on its way; who stores it sees that, too


def _kept(written: Written, target: str, looked: Looked | None) -> Seen:
    Path(target).write_bytes(written.png)
    return Seen(
        width=written.width, height=written.height, size_bytes=len(written.png), sha256=written.sha256, looked=looked
    )


if __name__ == "__main__":
    sys.exit(main())
