"""A small training on the demo checkpoint, for tests and for the process that a test kills (`python setting.py`)."""

import hashlib
import io
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw

import gpu_worker.engine  # noqa: F401 (its environment must stand before torch is imported)
from gpu_worker.language.models import scan_model_files
from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules
from gpu_worker.protocol.specs import ImageRef, Train, TrainDataset, TrainImage, TrainSubset

DEMO = Path(__file__).parents[3] / "data" / "demo"


def picture(number, size=(128, 128)):
    """A magenta disc with a black square, on green: nothing that the demo checkpoint has seen."""
    image = Image.new("RGB", size, (30, 200, 90 + number))
    draw = ImageDraw.Draw(image)
    draw.ellipse((30 + number, 20, 105, 100), fill=(250, 20, 200))
    draw.rectangle((50, 40 + number, 80, 70), fill=(20, 20, 20))
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


PICTURES = {f"p{number}": picture(number) for number in range(3)} | {"wide": picture(3, (192, 128))}


def ref(name, pictures=PICTURES):
    data = pictures[name]
    return ImageRef(ref=name, sha256=hashlib.sha256(data).hexdigest(), mime="image/png", size_bytes=len(data))


def subset(names, caption="zorb, a disc", **changes):
    rules = SubsetRules(**changes.pop("rules", {}))
    images = tuple(TrainImage(image=ref(name), caption=caption) for name in names)
    return TrainSubset(**{"name": "2_zorb", "num_repeats": 2, "images": images, "rules": rules} | changes)


def spec(*subsets, rules=None, checkpoint="pincel-demo", **parameters):
    values = {
        "network_dim": 4, "network_alpha": 4.0, "unet_lr": 1e-3, "text_encoder_lr": 1e-4, "max_train_steps": 4,
        "seed": 3, "cache_latents": True,
    }  # fmt: skip
    sizes = {
        "resolution": (128, 128), "batch_size": 2, "enable_bucket": True, "min_bucket_reso": 64,
        "max_bucket_reso": 192, "bucket_reso_steps": 32,
    }  # fmt: skip
    return Train(
        checkpoint=checkpoint,
        output_name="zorb",
        parameters=Parameters(**(values | parameters)),
        datasets=(
            TrainDataset(
                rules=DatasetRules(**(sizes | (rules or {}))),
                subsets=subsets or (subset(PICTURES, rules={"shuffle_caption": True, "flip_aug": True}),),
            ),
        ),
    )


class Watcher:
    """Hooks that remember; `until` is the step after which `then` is wished."""

    def __init__(self, *, until=None, then="pause", pictures=PICTURES, tell=None):
        self.steps = []
        self.files = []
        self.prepared = []
        self._until, self._then, self._pictures, self._tell = until, then, pictures, tell

    def wish(self):
        return self._then if self._until is not None and len(self.steps) >= self._until else "go on"

    def preparing(self, done, of):
        self.prepared.append((done, of))

    def progress(self, progress):
        self.steps.append(progress)
        if self._tell is not None:
            self._tell(progress)

    def saved(self, file):
        self.files.append(file)

    def open_image(self, image):
        return self._pictures[image.ref]

    @property
    def losses(self):
        return [progress.loss for progress in self.steps]


def models(models_dir=Path("/nowhere"), name="pincel-demo"):
    from gpu_worker.training.trainer import Models

    found = scan_model_files(models_dir, DEMO)
    checkpoint = next(file for file in found if file.fact.kind == "checkpoint" and file.fact.name == name)
    return Models(checkpoint, vocabulary=DEMO / "sd-mini" / "tokenizer")


def train(wanted, folder, watcher=None, **options):
    from gpu_worker.training import trainer

    watcher = watcher or Watcher()
    where = options.pop("models", None) or models()
    outcome = trainer.train(wanted, where, trainer.Base(), watcher, folder, device="cpu", **options)
    return outcome, watcher


if __name__ == "__main__":

    def tell(progress):
        """At the fifth step it waits to be killed."""
        print(progress.step, flush=True)
        if progress.step == 5:
            time.sleep(3600)

    train(Train.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Watcher(tell=tell), snapshot_every=2)
