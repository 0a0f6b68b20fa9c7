"""Small model files that stay in memory between jobs: LoRA-like networks, textual inversions."""

from __future__ import annotations

from collections import OrderedDict

from gpu_worker.engine.adapters.network_file import read_network
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.models import ModelFile
from gpu_worker.language.networks import LoraRef

__all__ = ["NetworkBook"]

NETWORKS_BYTES = 1024 * 1024 * 1024
"""By the size of their files; the one that is read may be larger."""


class NetworkBook:
    """Networks read lately, the least recently used dropped first. A file that changed is read anew."""

    def __init__(self, limit_bytes: int = NETWORKS_BYTES) -> None:
        self._limit = limit_bytes
        self._read: OrderedDict[tuple[str, int, int], AppliedNetwork] = OrderedDict()

    def applied(self, ref: LoraRef, file: ModelFile) -> AppliedNetwork:
        """Raises EngineError `missing_model` and `bad_model`."""
        try:
            stat = file.weights.stat()
        except OSError as error:
            raise EngineError("missing_model", f"{file.weights}: {error!r}", {"lora": ref.name}) from error
        stamp = (str(file.path), stat.st_size, stat.st_mtime_ns)
        held = self._read.get(stamp)
        if held is None:
            held = self._read[stamp] = AppliedNetwork(ref, read_network(ref.name, file.path), stamp)
            while len(self._read) > 1 and sum(size for _, size, _ in self._read) > self._limit:
                self._read.popitem(last=False)
        self._read.move_to_end(stamp)
        return AppliedNetwork(ref, held.parts, stamp)
