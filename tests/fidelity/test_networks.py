"""Names of LoRA keys against A1111's."""

import pytest
from reference import vectors

from gpu_worker.engine.adapters.key_names import Place, compvis_key, place_of, text_module_names, unet_module_names


@pytest.mark.parametrize(("given", "expected"), vectors("lora_key_to_compvis"))
def test_kohya_keys_become_the_original_layouts(given, expected):
    assert compvis_key(given["key"], is_sd2=given["is_sd2"]) == expected


def sd1_unet():
    """Module names of diffusers' UNet in SD 1.x, written down from its configuration."""
    resnet = ("norm1", "conv1", "time_emb_proj", "norm2", "conv2", "conv_shortcut")
    attention = (
        "norm",
        "proj_in",
        "transformer_blocks.0.attn1.to_q",
        "transformer_blocks.0.attn2.to_out.0",
        "proj_out",
    )
    names = ["conv_in", "conv_out", "time_embedding.linear_1", "time_embedding.linear_2"]
    for side, layers in (("down", 2), ("up", 3)):
        for level in range(4):
            for layer in range(layers):
                names += [f"{side}_blocks.{level}.resnets.{layer}.{name}" for name in resnet]
                if level != (3 if side == "down" else 0):
                    names += [f"{side}_blocks.{level}.attentions.{layer}.{name}" for name in attention]
            if level < 3:
                names.append(f"{side}_blocks.{level}.{side}samplers.0.conv")
    names += [f"mid_block.resnets.{layer}.{name}" for layer in range(2) for name in resnet]
    return names + [f"mid_block.attentions.0.{name}" for name in attention]


def test_both_namings_of_a_module_mean_that_module():
    modules = sd1_unet()
    known = unet_module_names(modules)
    for module in modules:
        kohya = "lora_unet_" + module.replace(".", "_")
        original = compvis_key(kohya)
        assert original != kohya
        assert known[place_of(kohya).module] == known[place_of(original).module] == module


@pytest.mark.parametrize("module", ["encoder.layers.7.mlp.fc2", "encoder.layers.0.self_attn.v_proj"])
def test_text_models_are_known_by_openclips_names_too(module):
    known = text_module_names([module])
    for key, network in (("lora_te", "only"), ("lora_te2", "second")):
        kohya = f"{key}_text_model_{module.replace('.', '_')}"
        theirs = place_of(compvis_key(kohya, is_sd2=True))
        assert theirs.network == place_of(kohya).network == network
        assert known[theirs.module] == module
        assert known[place_of(kohya).module.removeprefix("text_model_")] == module


@pytest.mark.parametrize(
    ("key", "network", "module"),
    [
        ("lora_unet_mid_block_attentions_0_proj_in", "unet", "mid_block_attentions_0_proj_in"),
        ("lora_unet_input_blocks_4_1_proj_in", "unet", "input_blocks_4_1_proj_in"),
        ("diffusion_model.input_blocks.4.1.proj_in", "unet", "input_blocks_4_1_proj_in"),
        ("oft_unet_input_blocks_4_1_proj_in", "unet", "input_blocks_4_1_proj_in"),
        ("unet.mid_block.attentions.0.proj_in", "unet", "mid_block_attentions_0_proj_in"),
        ("unet.a.attn1.processor.to_q", "unet", "a_attn1_to_q"),
        ("base_model.model.unet.conv_in", "unet", "conv_in"),
        ("base_model.model.conv_in", None, "conv_in"),
        ("lycoris_conv_in", None, "conv_in"),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", "only", "text_model_encoder_layers_0_mlp_fc1"),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1", "first", "text_model_encoder_layers_0_mlp_fc1"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1", "second", "text_model_encoder_layers_0_mlp_fc1"),
        ("text_encoder.text_model.encoder.layers.0.mlp.fc1", "first", "text_model_encoder_layers_0_mlp_fc1"),
        ("text_encoder_2.text_model.encoder.layers.0.mlp.fc1", "second", "text_model_encoder_layers_0_mlp_fc1"),
        ("transformer.transformer_blocks.0.attn.to_q", None, "transformer_transformer_blocks_0_attn_to_q"),
    ],
)
def test_every_trainers_prefix_says_which_network(key, network, module):
    assert place_of(key) == Place(network, module)
