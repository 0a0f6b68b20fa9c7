"""Every trainer's names reach the right module of every family, and no other."""

import network_checkpoints
import pytest
import torch
from networks import lora, merged, network, saved

from gpu_worker.engine.adapters.network_file import read_network

TO_Q = "transformer_blocks.0.attn1.to_q"
TO_OUT = "transformer_blocks.0.attn1.to_out.0"
Q_PROJ = "encoder.layers.1.self_attn.q_proj"


@pytest.fixture(scope="module")
def checkpoints():
    return {family: network_checkpoints.small(family) for family in ("sd1", "sd2", "sdxl")}


CASES = [
    (
        "sd1",
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
        "unet",
        f"down_blocks.1.attentions.0.{TO_Q}",
    ),
    ("sd1", "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", "unet", f"down_blocks.1.attentions.0.{TO_Q}"),
    (
        "sd1",
        "lycoris_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
        "unet",
        f"down_blocks.1.attentions.0.{TO_Q}",
    ),
    ("sd1", f"unet.up_blocks.3.attentions.2.{TO_OUT}", "unet", f"up_blocks.3.attentions.2.{TO_OUT}"),
    ("sd1", "diffusion_model.output_blocks.11.1.proj_in", "unet", "up_blocks.3.attentions.2.proj_in"),
    ("sd1", "lora_unet_output_blocks_2_1_conv", "unet", "up_blocks.0.upsamplers.0.conv"),
    ("sd1", "lora_unet_output_blocks_8_2_conv", "unet", "up_blocks.2.upsamplers.0.conv"),
    ("sd1", "lora_unet_time_embed_2", "unet", "time_embedding.linear_2"),
    ("sd1", "lora_te_text_model_encoder_layers_1_self_attn_q_proj", "text0", Q_PROJ),
    ("sd1", "lora_te1_text_model_encoder_layers_1_self_attn_q_proj", "text0", Q_PROJ),
    ("sd1", "text_encoder.text_model.encoder.layers.1.self_attn.q_proj", "text0", Q_PROJ),
    ("sd2", "lora_te_text_model_encoder_layers_1_self_attn_q_proj", "text0", Q_PROJ),
    ("sd2", "model_transformer_resblocks_1_attn_q_proj", "text0", Q_PROJ),
    ("sd2", "lora_unet_mid_block_attentions_0_proj_in", "unet", "mid_block.attentions.0.proj_in"),
    (
        "sdxl",
        "lora_unet_input_blocks_7_1_transformer_blocks_2_attn2_to_k",
        "unet",
        "down_blocks.2.attentions.0.transformer_blocks.2.attn2.to_k",
    ),
    ("sdxl", "lora_unet_input_blocks_4_1_proj_in", "unet", "down_blocks.1.attentions.0.proj_in"),
    (
        "sdxl",
        "lora_unet_middle_block_1_transformer_blocks_1_ff_net_0_proj",
        "unet",
        "mid_block.attentions.0.transformer_blocks.1.ff.net.0.proj",
    ),
    (
        "sdxl",
        "lora_unet_output_blocks_5_1_transformer_blocks_1_attn1_to_out_0",
        "unet",
        f"up_blocks.1.attentions.2.{TO_OUT}".replace("0.attn", "1.attn"),
    ),
    ("sdxl", "lora_unet_output_blocks_5_2_conv", "unet", "up_blocks.1.upsamplers.0.conv"),
    ("sdxl", "lora_unet_output_blocks_8_0_skip_connection", "unet", "up_blocks.2.resnets.2.conv_shortcut"),
    ("sdxl", "lora_unet_label_emb_0_2", "unet", "add_embedding.linear_2"),
    ("sdxl", "unet.down_blocks.2.attentions.1.proj_out", "unet", "down_blocks.2.attentions.1.proj_out"),
    ("sdxl", "lora_te1_text_model_encoder_layers_1_self_attn_q_proj", "text0", Q_PROJ),
    ("sdxl", "lora_te2_text_model_encoder_layers_1_self_attn_q_proj", "text1", f"text_model.{Q_PROJ}"),
    ("sdxl", "text_encoder.text_model.encoder.layers.1.self_attn.q_proj", "text0", Q_PROJ),
    ("sdxl", "text_encoder_2.text_model.encoder.layers.1.self_attn.q_proj", "text1", f"text_model.{Q_PROJ}"),
    ("sdxl", "1_model_transformer_resblocks_1_mlp_c_fc", "text1", "text_model.encoder.layers.1.mlp.fc1"),
    ("sdxl", "lora_te2_text_projection", "text1", "text_projection"),
]


@pytest.mark.parametrize(("family", "key", "network_name", "module"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_the_module_changes_and_no_other(checkpoints, tmp_path, family, key, network_name, module):
    checkpoint = checkpoints[family]
    before = network_checkpoints.weights(checkpoint)
    place = (network_name, f"{module}.weight")
    shape = before[place].shape
    merger = merged(checkpoint, network(saved(tmp_path, lora(key, shape[0], tuple(shape[1:])))))
    after = network_checkpoints.weights(checkpoint)
    merger.restore()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {place}


SPELLINGS = [
    ("{}.lora_down.weight", "{}.lora_up.weight"),
    ("{}.lora_A.weight", "{}.lora_B.weight"),
    ("{}.lora_A.default.weight", "{}.lora_B.default.weight"),
    ("{}.lora_A.my_adapter.weight", "{}.lora_B.my_adapter.weight"),
    ("{}.lora.down.weight", "{}.lora.up.weight"),
    ("{}.lora_linear_layer.down.weight", "{}.lora_linear_layer.up.weight"),
    ("{}_lora.down.weight", "{}_lora.up.weight"),
]


@pytest.mark.parametrize(("down", "up"), SPELLINGS)
@pytest.mark.parametrize(
    "base",
    [
        f"unet.mid_block.attentions.0.{TO_OUT}",
        "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out",
        f"base_model.model.mid_block.attentions.0.{TO_OUT}",
        f"base_model.model.unet.mid_block.attentions.0.{TO_OUT}",
    ],
)
def test_every_spelling_of_the_factors(checkpoints, tmp_path, base, down, up):
    checkpoint = checkpoints["sd1"]
    layer = checkpoint.unet.get_submodule(f"mid_block.attentions.0.{TO_OUT}")
    before = layer.weight.clone()
    plain = lora("x", *layer.weight.shape)
    tensors = {down.format(base): plain["x.lora_down.weight"], up.format(base): plain["x.lora_up.weight"]}
    tensors[f"{base}.alpha"] = torch.tensor(1.0)
    merger = merged(checkpoint, network(saved(tmp_path, tensors)))
    expected = before + 0.5 * plain["x.lora_up.weight"] @ plain["x.lora_down.weight"]
    torch.testing.assert_close(layer.weight, expected, rtol=1e-5, atol=1e-5)
    merger.restore()


def test_names_of_other_families_are_left_out(checkpoints, tmp_path):
    foreign = {
        **lora("lora_te_text_model_encoder_layers_0_mlp_fc1", 3, 3),  # SD 1.x, where SDXL has two
        **lora("lora_te3_encoder_block_0_layer_0_SelfAttention_q", 3, 3),
        **lora("transformer.transformer_blocks.0.attn.to_q", 3, 3),
        **lora("lora_unet_input_blocks_99_1_proj_in", 3, 3),
        "lora_unet_conv_in.unheard_of": torch.zeros(3),
        "something.else": torch.zeros(3),
    }
    fitting = lora("lora_unet_mid_block_attentions_0_proj_in", 16, 16)
    checkpoint = checkpoints["sdxl"]
    before = network_checkpoints.weights(checkpoint)
    merger = merged(checkpoint, network(saved(tmp_path, foreign | fitting)))
    after = network_checkpoints.weights(checkpoint)
    merger.restore()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == [("unet", "mid_block.attentions.0.proj_in.weight")]


def test_each_entry_is_one_part(tmp_path):
    tensors = lora("lora_unet_conv_in", 8, (4, 3, 3), alpha=1) | lora(
        "lora_te_text_model_encoder_layers_0_mlp_fc1", 3, 3
    )
    parts = read_network("net", saved(tmp_path, tensors))
    assert sorted(part.key for part in parts) == sorted({key.split(".")[0] for key in tensors})
