"""What is what in a picture: OneFormer with a Swin backbone, transformers' network, weights in the authors' layout.

Of whatever size: that is read off the weights. What a picture is brought to, and what colours classes have, is as in
sd-webui-controlnet; classes are decided at the size that the network sees, and brought back undiluted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker
from gpu_worker.engine.control.preprocessors.networks import Third, Weights, loaded_by_shapes
from gpu_worker.engine.control.preprocessors.palettes import ade20k_palette, coco_palette

__all__ = ["SEGMENTS"]

_TASK = (49406, 518, 10549, 533, 29119, 1550, 49407)
"""CLIP's tokens of "the task is semantic"; the rest is zeros."""
_MEAN, _DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_STEP_PX = 32
_AT_ONCE = 25
"""Masks that are enlarged together: all of them would be gigabytes."""
_BACKBONE, _DECODER, _PREDICTOR = "backbone.", "sem_seg_head.pixel_decoder.", "sem_seg_head.predictor."
_SWIN = r"model\.pixel_level_module\.encoder\.swin\."
_BLOCK = _SWIN + r"encoder\.(layers\.\d+\.blocks\.\d+\.)"
_PIXELS, _MODULE = r"model\.pixel_level_module\.decoder\.", r"model\.transformer_module\."
_LAYER = _MODULE + r"decoder\.layers\.(\d+)\."
_RENAMED = tuple(
    (re.compile(pattern), template)
    for pattern, template in (
        (_SWIN + r"embeddings\.patch_embeddings\.projection\.", r"backbone.patch_embed.proj."),
        (_SWIN + r"embeddings\.norm\.", r"backbone.patch_embed.norm."),
        (_BLOCK + r"attention\.o_proj\.", r"backbone.\1attn.proj."),
        (_BLOCK + r"attention\.relative_position_bias\.", r"backbone.\1attn."),
        (_BLOCK + r"layernorm_before\.", r"backbone.\1norm1."),
        (_BLOCK + r"layernorm_after\.", r"backbone.\1norm2."),
        (_SWIN + r"encoder\.", r"backbone."),
        (_PIXELS + r"(adapter_1|layer_1)\.0\.", _DECODER + r"\1."),
        (_PIXELS + r"(adapter_1|layer_1)\.1\.", _DECODER + r"\1.norm."),
        (_PIXELS + r"input_projections\.", _DECODER + "input_proj."),
        (_PIXELS + r"level_embed", _DECODER + "transformer.level_embed"),
        (_PIXELS + r"mask_projection\.", _DECODER + "mask_features."),
        (_PIXELS + r"(encoder\.layers\.\d+\.)fc(\d)\.", _DECODER + r"transformer.\1linear\2."),
        (_PIXELS + r"(encoder\.layers\.\d+\.)self_attn_layer_norm\.", _DECODER + r"transformer.\1norm1."),
        (_PIXELS + r"(encoder\.layers\.\d+\.)final_layer_norm\.", _DECODER + r"transformer.\1norm2."),
        (_PIXELS + r"encoder\.", _DECODER + "transformer.encoder."),
        (_MODULE + r"queries_embedder\.", _PREDICTOR + "query_embed."),
        (_MODULE + r"level_embed\.", _PREDICTOR + "level_embed."),
        (_MODULE + r"decoder\.query_transformer\.", _PREDICTOR + "class_transformer."),
        (_MODULE + r"decoder\.query_input_projection\.", _PREDICTOR + "class_input_proj."),
        (_MODULE + r"decoder\.mask_embed\.layers\.(\d)\.0\.", _PREDICTOR + r"mask_embed.layers.\1."),
        (_LAYER + r"cross_attn\.", _PREDICTOR + r"transformer_cross_attention_layers.\1."),
        (_LAYER + r"self_attn\.", _PREDICTOR + r"transformer_self_attention_layers.\1."),
        (_LAYER + r"ffn\.", _PREDICTOR + r"transformer_ffn_layers.\1."),
        (_MODULE + r"decoder\.", _PREDICTOR),
        (r"model\.task_encoder\.task_mlp\.layers\.(\d)\.0\.", r"task_mlp.layers.\1."),
    )
)
_NORM = re.compile(r"model\.pixel_level_module\.encoder\.hidden_states_norms\.stage(\d)\.")
_THIRD = re.compile(_BLOCK + r"attention\.([qkv])_proj\.(weight|bias)")
_QUERY_THIRD = re.compile(_LAYER + r"self_attn\.self_attn\.([qkv])_proj\.(weight|bias)")


def _published(key: str) -> str | Third:
    if third := _THIRD.fullmatch(key):
        return Third(f"backbone.{third[1]}attn.qkv.{third[3]}", "qkv".index(third[2]))
    if third := _QUERY_THIRD.fullmatch(key):
        place = f"{_PREDICTOR}transformer_self_attention_layers.{third[1]}.self_attn.in_proj_{third[3]}"
        return Third(place, "qkv".index(third[2]))
    if norm := _NORM.match(key):
        return f"{_BACKBONE}norm{int(norm[1]) - 1}.{key[norm.end() :]}"
    for pattern, template in _RENAMED:
        if pattern.match(key):
            return pattern.sub(template, key, count=1)
    return key


def _count(weights: Weights, pattern: str) -> int:
    return 1 + max((int(found[1]) for key in weights if (found := re.match(pattern, key))), default=-1)


def _network(weights: Weights) -> torch.nn.Module:
    from transformers import OneFormerConfig, OneFormerForUniversalSegmentation, SwinConfig

    stages = range(_count(weights, r"backbone\.layers\.(\d+)\."))
    tables = [weights[f"backbone.layers.{at}.blocks.0.attn.relative_position_bias_table"].shape for at in stages]
    predictor = {key.removeprefix(_PREDICTOR): value for key, value in weights.items() if key.startswith(_PREDICTOR)}
    config = OneFormerConfig(
        backbone_config=SwinConfig(
            embed_dim=weights["backbone.patch_embed.proj.weight"].shape[0],
            depths=[_count(weights, rf"backbone\.layers\.{at}\.blocks\.(\d+)\.") for at in stages],
            num_heads=[table[1] for table in tables],
            window_size=(int(tables[0][0] ** 0.5) + 1) // 2,
            image_size=384,
            out_features=[f"stage{at + 1}" for at in stages],  # pyright: ignore[reportCallIssue]
        ),
        num_queries=predictor["query_embed.weight"].shape[0],
        num_labels=predictor["class_embed.weight"].shape[0] - 1,  # pyright: ignore[reportCallIssue]
        dim_feedforward=predictor["transformer_ffn_layers.0.linear1.weight"].shape[0],
        encoder_feedforward_dim=weights[f"{_DECODER}transformer.encoder.layers.0.linear1.weight"].shape[0],
        encoder_layers=_count(weights, re.escape(_DECODER) + r"transformer\.encoder\.layers\.(\d+)\."),
        decoder_layers=1 + _count(predictor, r"transformer_ffn_layers\.(\d+)\."),
        query_dec_layers=_count(predictor, r"class_transformer\.decoder\.layers\.(\d+)\."),
        task_seq_len=weights["task_mlp.layers.0.weight"].shape[1],
        is_training=False,
    )
    made: Any = OneFormerForUniversalSegmentation(config)
    # Neither has a place in the file: what only training needs, and a norm whose output nothing reads.
    del made.criterion
    made.model.pixel_level_module.encoder.swin.layernorm = torch.nn.Identity()
    network: torch.nn.Module = made
    return network


def _load(path: Path, name: str) -> torch.nn.Module:
    return loaded_by_shapes(path, name, _network, _published)


def _segments(look: Look, palette: Callable[[], Picture], shortest_px: int, longest_px: int) -> Picture:
    network: Any = look.annotators.borrow(look.file, _load)
    height, width = look.seen.shape[:2]
    factor = min(shortest_px / min(height, width), longest_px / max(height, width))
    rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
    seen: Any = cv2.resize(look.seen, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    seen = (seen - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
    seen = np.pad(seen, [(0, -rows % _STEP_PX), (0, -columns % _STEP_PX), (0, 0)])
    pixels = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)))[None]
    tokens = torch.zeros(1, network.config.task_seq_len)
    tokens[0, : len(_TASK)] = torch.tensor(_TASK, dtype=torch.float32)

    def work(device: torch.device) -> Any:
        found = network(pixel_values=pixels.to(device), task_inputs=tokens.to(device))
        classes = found.class_queries_logits[0].float().softmax(dim=-1)[:, :-1]
        total: Any = 0
        for start in range(0, len(classes), _AT_ONCE):
            masks = found.masks_queries_logits[:, start : start + _AT_ONCE].float()
            masks = torch.nn.functional.interpolate(masks, pixels.shape[2:], mode="bilinear")[0, :, :rows, :columns]
            total = total + torch.einsum("qc,qhw->chw", classes[start : start + _AT_ONCE], masks.sigmoid())
        return total.argmax(dim=0).cpu().numpy().astype(np.uint8)

    labels: Any = look.annotators.looked(work, network)
    back: Any = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
    colours = palette()
    made: Picture = colours[np.minimum(back, len(colours) - 1)]
    return made


SEGMENTS: dict[str, Maker] = {
    "seg_ofade20k": lambda look: _segments(look, ade20k_palette, 640, 2560),
    "seg_ofcoco": lambda look: _segments(look, coco_palette, 800, 1333),
}
