"""Jobs and pictures to make cards of."""

import io
import time

import pytest
from PIL import Image as Pillow
from PIL import PngImagePlugin

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, UserId
from bot.domain.job import Action, Image, Job, JobStatus, Lane
from gpu_worker.protocol.specs import Txt2Img


@pytest.fixture(scope="session")
def make_job():
    def make(*, prompt="a cat", spec=None, **columns):
        spec = spec or Txt2Img(prompt=prompt, checkpoint="dreamy", width=512, height=512, seed=1, count=4)
        given = {
            "id": JobId("j" * 16), "action": Action.IMAGINE, "user_id": UserId(11), "guild_id": GuildId(22),
            "channel_id": ChannelId(33), "locale": "en-US", "lane": Lane.INTERACTIVE, "spec": spec,
            "status": JobStatus.QUEUED, "work_units": 1.0, "attempt": 1, "crashes": 0, "worker": None,
            "created_at": time.time(),
        }  # fmt: skip
        return Job(**{**given, **columns})

    return make


@pytest.fixture(scope="session")
def make_image():
    def make(index=0, **columns):
        given = {
            "id": ImageId(f"{'i' * 15}{index}"), "job_id": JobId("j" * 16), "index": index, "path": f"{index}.png",
            "sha256": "0" * 64, "mime": "image/png", "width": 512, "height": 512, "size_bytes": 1, "seed": index + 1,
            "infotext": "a cat\nSteps: 20, Seed: 1, Size: 512x512", "action": Action.IMAGINE,
        }  # fmt: skip
        return Image(**{**given, **columns})

    return make


@pytest.fixture(scope="session")
def make_png():
    def make(side_px=64, *, text="a cat"):
        """Noise in each colour: what no format makes small."""
        picture = Pillow.merge("RGB", [Pillow.effect_noise((side_px, side_px), 90) for _ in range(3)])
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", text)
        out = io.BytesIO()
        picture.save(out, "PNG", pnginfo=info)
        return out.getvalue()

    return make
