"""What the infotext says of the models behind a picture, hashed while the picture is drawn."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from gpu_worker.engine.build import Built
from gpu_worker.engine.checkpoints.hashes import HashBook, old_hash
from gpu_worker.engine.images.record import Record
from gpu_worker.engine.order import Order
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.specs import Img2Img, Txt2Img

__all__ = ["Hashes"]

Digest = Future[str | None]


@dataclass(frozen=True)
class Hashes:
    """Under way; asking for the record waits for them."""

    model: Digest
    vae: Digest | None
    loras: tuple[tuple[str, Digest], ...]
    hires_checkpoint: Digest | None
    refiner: Digest | None

    @classmethod
    def started(cls, book: HashBook, order: Order) -> Hashes:
        first, second = order.first, order.second

        def begun(model: ModelFile | None) -> Digest | None:
            return book.start(model.weights) if model else None

        networks = {ref.name: file for ref, file in (*first.every_network, *(second.every_network if second else ()))}
        return cls(
            model=book.start(first.model.weights),
            vae=begun(first.vae),
            loras=tuple((name, book.start(file.weights, data_only=True)) for name, file in networks.items()),
            hires_checkpoint=begun(second.model) if second and second.model.path != first.model.path else None,
            refiner=begun(order.refiner),
        )

    def record(self, order: Order, built: Built) -> Record:
        first = order.first
        assert isinstance(order.spec, Txt2Img | Img2Img), "no other drawing exists"
        return Record(
            spec=order.spec,
            sampler=first.sampler,
            model_hash=self.model.result(),
            model_name=first.model.fact.name,
            vae=(first.vae.path.name, _found(self.vae)) if first.vae else None,
            lora_hashes=tuple((name, found) for name, digest in self.loras if (found := digest.result())),
            embedding_hashes=tuple((name, digest) for name, digest in built.embeddings.items() if digest),
            source_size=built.source_size,
            hires_checkpoint_hash=_found(self.hires_checkpoint),
            refiner_hash=_found(self.refiner),
            inpainting=first.model.fact.variant == "inpaint",
            edits=first.model.fact.variant == "pix2pix",
            control_models=tuple(_titled(file) for file in order.control),
        )


def _titled(file: ModelFile) -> str:
    """As A1111 names control models."""
    digest = old_hash(file.weights)
    return f"{file.fact.name} [{digest}]" if digest else file.fact.name


def _found(digest: Digest | None) -> str | None:
    return digest.result() if digest else None
