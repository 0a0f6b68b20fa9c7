"""A style as a short text that can be posted anywhere: `pincel1.<what it holds>.<checksum>`.

What it holds is JSON, deflated with a dictionary of usual words, in base 64 for URLs. The number is that of the format:
one that this version does not know is refused, and the dictionary of a number never changes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from typing import Any, cast

from bot.domain.style_files import ReadStyles, read_styles
from bot.domain.styles import Style
from bot.errors import UserFacingError

__all__ = ["CODE_STYLES_MAX", "decode_styles", "encode_styles", "find_code"]

CODE_STYLES_MAX = 20
_PLAIN_BYTES_MAX = 256 * 1024
"""Of what a code holds, unpacked."""
_CODE = re.compile(r"pincel(\d{1,3})\.([A-Za-z0-9_-]{1,20000})\.([0-9a-f]{8})(?![A-Za-z0-9])")
_FIELDS = ("name", "prompt", "negative_prompt", "parameters")
_WORDS = (
    b'"checkpoint":"","clip_skip":"sampler":"DPM++ 2M","schedule":"Karras","cfg_scale":"steps":"aspect":"width":'
    b"film grain, dslr, 8k uhd, raw photo, photorealistic, bokeh, depth of field, soft lighting, cinematic lighting, "
    b"masterpiece, best quality, high quality, highly detailed, intricate, sharp focus, absurdres, 1girl, solo, "
    b"watercolor, oil painting, ink, sketch, concept art, illustration of {prompt}, photo of {prompt}, painting of "
    b"lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality, "
    b"low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry, deformed, ugly, duplicate, "
    b'mutated, mutilated, out of frame, extra limbs, disfigured, cgi, 3d, render, <lora:","{prompt}, ["'
)


def encode_styles(styles: Sequence[Style]) -> str:
    """One or several, at most CODE_STYLES_MAX."""
    rows: list[list[Any]] = []
    for style in styles:
        parameters = style.parameters.model_dump(mode="json", exclude_none=True)
        row: list[Any] = [style.name, style.prompt, style.negative_prompt, parameters]
        while row and not row[-1]:
            row.pop()
        rows.append(row)
    plain = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=_WORDS)
    packed = deflate.compress(plain) + deflate.flush()
    body = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return f"pincel1.{body}.{_checksum(body)}"


def find_code(text: str) -> str | None:
    """The first code in a text, white space within it forgiven: a client may have broken its line."""
    found = _CODE.search(text) or _CODE.search("".join(text.split()))
    return found[0] if found else None


def decode_styles(code: str) -> ReadStyles:
    """Raises UserFacingError: `style_code_unreadable` (cut, changed, or none at all), `style_code_newer`."""
    found = _CODE.fullmatch(code)
    if found is None or found[3] != _checksum(found[2]):
        raise UserFacingError("style_code_unreadable")
    if found[1] != "1":
        raise UserFacingError("style_code_newer")
    try:
        packed = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4), altchars=b"-_", validate=True)
        inflate = zlib.decompressobj(-15, zdict=_WORDS)
        plain = inflate.decompress(packed, _PLAIN_BYTES_MAX)
        if inflate.unconsumed_tail or not inflate.eof:
            raise UserFacingError("style_code_unreadable")
        rows: Any = json.loads(plain)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise UserFacingError("style_code_unreadable") from error
    if not isinstance(rows, list) or not 0 < len(cast("list[Any]", rows)) <= CODE_STYLES_MAX:
        raise UserFacingError("style_code_unreadable")
    named: list[dict[str, Any]] = [
        dict(zip(_FIELDS, cast("list[Any]", row), strict=False))
        for row in cast("list[Any]", rows)
        if isinstance(row, list)
    ]
    return read_styles(json.dumps({"styles": named}).encode())


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:8]
