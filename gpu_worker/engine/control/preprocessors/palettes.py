"""The colours by which segmentation models know what is what, a row a class; uint8 [n, 3]."""

from __future__ import annotations

import numpy as np

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.preprocessors.networks import aux

__all__ = ["ade20k_palette", "coco_palette"]

_COCO = (
    "dc143c770b2000008e0000e66a00e4003c640050640000460000c0faaa1e64aa1edcdc00af74affa001ea52a2aff4dff"
    "00e2fcb6b6ff00520078a69d6e4c00ae39ffc76400480076ffb3f0007d5cd10097bcd0b600dcb0ff63a45c00498581ff"
    "4eb4ff00e400aefff32d59ff8686679194aeffd0bac5e2ffab86016d3f36cf8aff97005f09503d5469334a4169a6c466"
    "d0c3d2ff6d41008f95b300c2d1636a057900e3ffcd93bad0994501035fa1a3ff007700aa00b6c700a578b782585f2000"
    "8272876e8185a64a76db8eb94fd272b25a3e41460f7fa7733b696a8e6c2dc4ac005f3650804cffc93901f6007abfa2d0"
    "ffff8093d3cb966464a8abac9270c6d2aa645c8859da58b8f18100d911ff7c4ab5464646ffe4ff9ad000c1005c4c5b71"
    "ffb4c36a9ab0e6968c3c8fff8040805c5237fed47c494daeffa062ffffff68546da9a483e1c7ff89364a879edf07f6e7"
    "6bffc83a2995b7798eff49616b8e23be9999928b8d4682b486c79cd1e28c60246c60606040aa4098fb98d0e5e4cebaab"
    "98a14074700000728f66669cfa8dff"
)
"""Of COCO's 133 panoptic categories in their order, as panopticapi has them."""


def ade20k_palette() -> Picture:
    """Of ADE20K's 150 classes."""
    return np.array(aux("util").ade_palette(), np.uint8)


def coco_palette() -> Picture:
    return np.frombuffer(bytes.fromhex(_COCO), np.uint8).reshape(-1, 3)
