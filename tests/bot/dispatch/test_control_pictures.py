"""Pictures that control units follow are kept as long as their job, and reach the worker by the transport's address."""

import dataclasses

from bot.dispatch.sources import SpecResolver
from bot.domain.named_models import models_of
from bot.storage.inputs import InputPictures, given_pictures
from gpu_worker.protocol.specs import ControlUnit, ImageRef, Img2Img, Txt2Img

BASE = {"prompt": "x", "checkpoint": "dreamy", "width": 64, "height": 64, "seed": 1}


@dataclasses.dataclass
class Job:
    """What the resolver reads of one."""

    task: Txt2Img | Img2Img
    files: None = None

    @property
    def spec(self):
        return self.task


class Transport:
    async def put_input(self, data, mime):
        return ImageRef(ref=f"there:{data.decode()}", sha256="0" * 64, mime=mime, size_bytes=len(data))


async def test_they_are_kept_and_handed_out(database, tmp_path):
    inputs = InputPictures(database, tmp_path)
    pose, mask, photo = [await inputs.keep(name, "image/png") for name in (b"pose", b"mask", b"photo")]
    units = (ControlUnit(model="openpose", image=pose, mask=mask), ControlUnit(model="canny"))
    drawing = Txt2Img(**BASE, control=units[:1])
    over = Img2Img(**BASE, image=photo, control=units)
    assert given_pictures(drawing) == [pose, mask]
    assert given_pictures(over) == [photo, pose, mask]
    assert {("controlnet", "openpose"), ("controlnet", "canny")} <= set(models_of(over))
    resolver = SpecResolver(jobs=None, images=None, inputs=inputs, transport=Transport())
    for spec in (drawing, over):
        found = await resolver.resolve(Job(spec))
        assert (found.control[0].image.ref, found.control[0].mask.ref) == ("there:pose", "there:mask")
        assert found.control[0].model == "openpose"
    assert found.control[1] == units[1]
