"""A training from its options to its files: planned, told, trained, its samples drawn, published."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.engine.checkpoints.hashes import HashBook, old_hash
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine_arguments import add_engine_arguments, engine_options
from gpu_worker.language.models import ModelFile, scan_model_files
from gpu_worker.language.trees import split_folders
from gpu_worker.shell.errors import BadInputError
from gpu_worker.shell.sentences import sentence
from gpu_worker.shell.training.base import find_base, find_vae
from gpu_worker.shell.training.files import Desk, Rules
from gpu_worker.shell.training.options import ROOT, Options, read_file
from gpu_worker.shell.training.plan import Plan, make_plan
from gpu_worker.shell.training.samples import Gallery, Sample, read_samples
from gpu_worker.shell.training.summary import summary
from gpu_worker.shell.training.terminal import Terminal
from gpu_worker.training.hooks import SavedFile
from gpu_worker.training.refusals import REASONS
from gpu_worker.training.trainer import Base, Models, train

__all__ = ["run"]

TRAINED, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 130

_DEMO = ROOT / "data" / "demo"
_SEEDS = 2**32


def run(options: Options) -> int:
    """An exit code. Raises BadInputError and ConfigError before anything was begun."""
    places = options.config.places
    output = Path(places.get("output_dir") or ".").expanduser().absolute()
    name = places.get("output_name") or "last"
    desk = Desk(output, name)
    library = scan_model_files(
        options.data / "models", _DEMO, extra_folders=split_folders(os.environ.get("PINCEL_MODEL_FOLDERS", ""), ROOT)
    )
    vae = find_vae(places.get("vae"), library)
    base = find_base(places.get("pretrained_model_name_or_path"), library, with_vae=vae is not None)
    samples = _samples(options, base)
    drawn = random.randrange(_SEEDS)
    plan = make_plan(options.config, base.fact.name, vae.fact.name if vae else None, name, drawn)
    target = _check_target(options, desk)
    if options.dry_run:
        print(summary(plan, base, options.config))  # noqa: T201
        return TRAINED
    if desk.final.exists() and not desk.begun and not options.anew:
        if target is not None:
            return _publish(desk, target)
        raise BadInputError(
            f"There is already {desk.final}. Choose another output_name, or train it again with --anew; --publish "
            "copies it into the library as it is."
        )
    try:
        if options.anew:
            desk.clear()
        seed = desk.seed(options.config.parameters.seed, drawn)
    except OSError as error:
        raise BadInputError(f"output_dir {output} cannot be written ({error.strerror}). Choose another one.") from error
    parameters = plan.spec.parameters.model_copy(update={"seed": seed})
    plan = Plan(plan.spec.model_copy(update={"parameters": parameters}), plan.length, plan.buckets, plan.notes)
    print(summary(plan, base, options.config), flush=True)  # noqa: T201
    run = _Run(options, desk, plan, base, vae, samples)
    code = run.all()
    return _publish(desk, target) if code == TRAINED and target is not None else code


def _samples(options: Options, base: ModelFile) -> tuple[Sample, ...]:
    config = options.config
    said = config.places.get("sample_prompts")
    often = config.sample_every_n_epochs or config.sample_every_n_steps or config.sample_at_first
    if not said or not often:
        return ()
    text = read_file("sample_prompts", Path(said).expanduser())
    return read_samples(text, base, config.parameters.clip_skip, config.places.get("sample_sampler"))


def _check_target(options: Options, desk: Desk) -> Path | None:
    if options.publish is None:
        return None
    name = options.publish or desk.name
    if Path(name).name != name or name.startswith("."):
        raise BadInputError(f"--publish {name} is no name for a file. Leave the folder out.")
    target = options.data / "models" / "loras" / f"{name}.safetensors"
    if target.exists():
        raise BadInputError(f"There is already a LoRA {name} in the library. Give another name: --publish NAME.")
    return target


def _publish(desk: Desk, target: Path) -> int:
    try:
        desk.publish(target)
    except FileExistsError:
        print(f"There is already {target}. Give another name: --publish NAME.", file=sys.stderr)  # noqa: T201
        return FAILED
    except OSError as error:
        print(f"{target} cannot be written ({error.strerror}); the result is {desk.final}.", file=sys.stderr)  # noqa: T201
        return FAILED
    print(f"Published: {target}\nDraw with it by writing <lora:{target.stem}:1> into a prompt.")  # noqa: T201
    return TRAINED


@dataclass
class _Run:
    options: Options
    desk: Desk
    plan: Plan
    base: ModelFile
    vae: ModelFile | None
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        config = self.options.config
        self._rules = Rules(
            config.places.get("output_name") or None,
            config.parameters,
            config.sample_every_n_epochs if self.samples else None,
            config.sample_every_n_steps if self.samples else None,
        )
        self._terminal = Terminal(self._took)
        self._shown: set[str] = set()

    def all(self) -> int:
        with self._stoppable():
            try:
                self._trained()
            except DrawingCancelled:
                self._terminal.say("Stopped. The same command goes on from here.")
                return STOPPED
            except EngineError as error:
                self._terminal.end_line()
                print(self._sentence(error), file=sys.stderr)  # noqa: T201
                if not self.desk.has_state:
                    self.desk.clear()
                return BAD_INPUT if error.kind == "bad_input" else FAILED
            except OSError as error:
                self._terminal.end_line()
                said = f"{self.desk.output} cannot be written ({error.strerror})"
                print(f"{said}. Free some room or mend that, and run the same command again.", file=sys.stderr)  # noqa: T201
                return FAILED
        self.desk.clear()
        self._terminal.say(f"Finished: {self.desk.final}")
        if self.options.publish is None:
            self._terminal.say("Run the same command with --publish to copy it into the library.")
        return TRAINED

    def _trained(self) -> None:
        self._draw_waiting()
        if self.options.config.sample_at_first and self.samples and not self.desk.has_state:
            self._draw("e000000", None)
        demo = _DEMO / "sd-mini" / "tokenizer"
        models = Models(self.base, self.vae, demo if demo.is_dir() else None)
        facts = self._facts()
        while True:
            self._terminal.begin()
            # The state stays until the last samples are drawn: whoever stops those goes on from it.
            outcome = train(
                self.plan.spec, models, facts, self._terminal, self.desk.output,
                device=self.options.device, state=self.desk.state, clears=False,
            )  # fmt: skip
            self._terminal.end_line()
            self._draw_waiting()
            if outcome == "done":
                return

    def _facts(self) -> Base:
        self._terminal.preparing_base()
        book = HashBook(self.options.data / "hashes.json")
        base, vae = self.base.weights, self.vae
        return Base(
            sha256=book.start(base).result(),
            old_hash=old_hash(base),
            vae=None if vae is None else vae.fact.name,
            vae_sha256=None if vae is None else book.start(vae.weights).result(),
            vae_old_hash=None if vae is None else old_hash(vae.weights),
        )

    def _took(self, file: SavedFile) -> bool:
        """A file was saved; whether samples are to be drawn with it."""
        file = self._rules.called(file, self.desk.name)
        mark = self._rules.mark(file)
        if mark in self._shown:
            mark = None  # the state before it could not be kept, so it was trained once more
        if mark is not None:
            try:
                self.desk.put_by(file.path, mark)
            except OSError:
                mark = None
                print(f"There is no room for the samples of {file.path.name}.", file=sys.stderr)  # noqa: T201
        if self._rules.is_kept(file):
            if not file.final:
                self._terminal.say(f"Saved: {file.path}")
            if (gone := self._rules.gone(file)) is not None:
                (self.desk.output / gone).unlink(missing_ok=True)
        else:
            file.path.unlink(missing_ok=True)
        return mark is not None

    def _draw_waiting(self) -> None:
        for mark, file in list(self.desk.waiting()):
            self._draw(mark, file)
            self._shown.add(mark)
            self.desk.drawn(mark)

    def _draw(self, mark: str, lora: Path | None) -> None:
        """Samples that cannot be drawn do not end a training."""
        config = self.options.config
        given = argparse.ArgumentParser()
        add_engine_arguments(given, os.environ)
        engine = engine_options(given.parse_args(["--device", self.options.device or "auto"]))
        gallery = Gallery(
            self.samples, self.base, self.vae, self.desk.library, self.desk.output / "sample",
            config.places.get("output_name"), _DEMO, engine,
        )  # fmt: skip
        try:
            for path in gallery.draw(mark, lora, lambda: self._terminal.stopping):
                self._terminal.say(f"Sample: {path}")
        except (BadInputError, OSError) as error:
            why = error if isinstance(error, BadInputError) else f"{error.strerror}."
            self._terminal.end_line()
            print(f"The samples {mark} could not be drawn: {why}", file=sys.stderr)  # noqa: T201

    def _sentence(self, error: EngineError) -> str:
        reason = error.detail.get("reason")
        if reason == "other_training":
            return (
                "Another training was begun under this output_name: its settings or pictures were not these. Give this "
                f"one another output_name, or forget the other with --anew ({self.desk.folder})."
            )
        if reason == "source_picture":
            return "A picture was changed or taken away meanwhile. Put it back, and run the same command again."
        if reason in REASONS:
            return error.message
        return sentence(error)

    @contextmanager
    def _stoppable(self) -> Generator[None]:
        """Ctrl-C and SIGTERM stop between two steps; a second Ctrl-C at once."""

        def stop(_number: int, _frame: object) -> None:
            if self._terminal.stopping:
                raise KeyboardInterrupt
            self._terminal.stopping = True
            self._terminal.end_line()
            print("Stopping after this step …", file=sys.stderr, flush=True)  # noqa: T201

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except KeyboardInterrupt:
            raise DrawingCancelled from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
