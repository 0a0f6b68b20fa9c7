"""sd-scripts' configuration and data set files: what they mean, and what is refused with which sentence."""

import pytest

from gpu_worker.language.training.command_line import read_words
from gpu_worker.language.training.config import read_config
from gpu_worker.language.training.config_errors import ConfigError
from gpu_worker.language.training.dataset_config import read_dataset_config
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.language.training.presets import PRESETS, preset

GUIDE = """
[model]
pretrained_model_name_or_path = "base.safetensors"
train_data_dir = "pictures"
output_name = "mychar"
xformers = true
[network]
network_module = "lycoris.kohya"
network_dim = 16
network_alpha = 8
network_args = ["algo=loha", "conv_dim=4", "conv_alpha=1"]
[learning]
unet_lr = 1e-4
text_encoder_lr = 5e-5
optimizer_type = "AdamW8bit"
optimizer_args = ["weight_decay=0.1", "betas=0.9,0.99"]
resolution = "512,768"
train_batch_size = 2
enable_bucket = true
shuffle_caption = true
keep_tokens = 1
max_train_epochs = 10
sample_every_n_epochs = 1
"""

DATASETS = """
[general]
shuffle_caption = true
caption_extension = ".txt"
[[datasets]]
resolution = 512
batch_size = 4
keep_tokens = 1
  [[datasets.subsets]]
  image_dir = "a"
  num_repeats = 10
  class_tokens = "mychar"
  [[datasets.subsets]]
  image_dir = "b"
  is_reg = true
  keep_tokens = 2
  shuffle_caption = false
"""


def test_a_whole_file():
    config = read_config(GUIDE)
    given = config.parameters
    assert (given.algo, given.conv_dim, given.conv_alpha, given.network_dim, given.alpha) == ("loha", 4, 1.0, 16, 8.0)
    assert (given.rates, given.weight_decay, given.betas) == ((1e-4, 5e-5), 0.1, (0.9, 0.99))
    assert (config.dataset.resolution, config.dataset.batch_size) == ((512, 768), 2)
    assert (config.subset.shuffle_caption, config.subset.keep_tokens) == (True, 1)
    assert config.places["output_name"] == "mychar"
    assert (config.passed_over, config.sample_every_n_epochs) == (("xformers",), 1)


def test_what_kohyas_window_writes_is_read():
    config = read_config(
        """
        caption_extension = ".txt"
        dynamo_backend = "no"
        epoch = 10
        huber_c = 0.1
        huber_schedule = "snr"
        lr_scheduler_args = []
        lr_scheduler_type = ""
        max_timestep = 1000
        min_snr_gamma = 0
        multires_noise_discount = 0.3
        network_args = []
        noise_offset_type = "Original"
        optimizer_args = []
        sample_prompts = "prompts.txt"
        sample_sampler = "euler_a"
        text_encoder_lr = [0.0001]
        unet_lr = 0.0002
        """
    )
    assert config.parameters.rates == (2e-4, 1e-4)
    assert config.parameters.min_snr_gamma is None
    assert config.places["sample_sampler"] == "euler_a"
    assert "huber_c" in config.passed_over
    with pytest.raises(ConfigError, match="one rate for all text encoders"):
        read_config("text_encoder_lr = [1e-4, 1e-5]")


def test_a_command_line_wins_over_the_file():
    line = (
        "--network_args algo=lokr factor=4 --unet_lr=2e-4 --shuffle_caption --flip_aug false --output_name 007 "
        "--max-train-epochs 3 --caption_prefix=--a"
    )
    said = read_words(line.split())
    assert said == {
        "network_args": ["algo=lokr", "factor=4"], "unet_lr": 2e-4, "shuffle_caption": True, "flip_aug": False,
        "output_name": "007", "max_train_epochs": 3, "caption_prefix": "--a",
    }  # fmt: skip
    config = read_config(GUIDE, said)
    assert (config.parameters.algo, config.parameters.unet_lr, config.parameters.text_encoder_lr) == (
        "lokr",
        2e-4,
        5e-5,
    )
    with pytest.raises(ConfigError, match="belongs to no option"):
        read_words(["--unet_lr", "1", "2"])


def test_defaults_are_those_of_sd_scripts():
    given = read_config("").parameters
    assert (given.network_dim, given.alpha, given.rates, given.optimizer_type) == (4, 1.0, (2e-6, 2e-6), "AdamW")
    assert (given.max_train_steps, given.max_grad_norm, given.lr_scheduler) == (1600, 1.0, "constant")


def test_a_data_set_file_inherits_from_the_outside_in():
    (found,) = read_dataset_config(DATASETS, subset=read_config("caption_dropout_rate = 0.1").subset)
    first, second = found.subsets
    assert (found.rules.resolution, found.rules.batch_size) == ((512, 512), 4)
    assert (first.rules.shuffle_caption, first.rules.keep_tokens, first.rules.caption_dropout_rate) == (True, 1, 0.1)
    assert (second.rules.shuffle_caption, second.rules.keep_tokens, second.is_reg) == (False, 2, True)
    assert (first.num_repeats, second.num_repeats, first.caption_extension) == (10, 1, ".txt")


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("unet_lr = nan", "unet_lr", "no number"),
        ("unet_lr = inf", "unet_lr", "no number"),
        ("learning_rate = -1e-4", "learning_rate", "at least 0"),
        ("network_dim = 0", "network_dim", "at least 1"),
        ("network_dim = true", "network_dim", "a whole number"),
        ("network_dim = 16.5", "network_dim", "a whole number"),
        ("shuffle_caption = 1", "shuffle_caption", "true or false"),
        ('unet_lr = "fast"', "unet_lr", "a number"),
        ("netwrok_dim = 16", "netwrok_dim", "Did you mean network_dim?"),
        ('optimizer_type = "Sophia"', "optimizer_type", "'Prodigy'"),
        ('resolution = "wide"', "resolution", "512,768"),
        ("resolution = 500", "resolution", "multiples of 8"),
        ("resolution = 1024000", "resolution", "at most 2048"),
        ("color_aug = true", "color_aug", "not done here"),
        ("max_timestep = 500", "max_timestep", "not done here"),
        ('lr_scheduler_type = "torch.optim.lr_scheduler.StepLR"', "lr_scheduler_type", "not done here"),
        ("network_args = 3", "network_args", "list of texts"),
        ('network_args = ["algo=loha"]', "network_args", "lycoris.kohya"),
        ('network_args = ["depth=1"]', "depth", "no parameter"),
        ('network_args = ["conv_dim=many"]', "network_args", "conv_dim"),
        ('optimizer_args = ["betas"]', "optimizer_args", "without a value"),
        ('optimizer_args = ["decouple=False"]', "optimizer_args", "decouple"),
        ("save_last_n_epochs = 2", "save_last_n_epochs", "save_every_n_epochs"),
        ("learning_rate = 0", "learning_rate", "nothing would be learnt"),
        ("cache_latents = true\nrandom_crop = true", "random_crop", "cached latents"),
        ("enable_bucket = true\nmax_bucket_reso = 256", "max_bucket_reso", "at least the resolution"),
        ('optimizer_type = "Prodigy"\nunet_lr = 1.0', "unet_lr", "text_encoder_lr"),
        ("[a]\nseed = 1\n[b]\nseed = 2", "seed", "twice"),
        ("output_name = 3", "output_name", "quotation marks"),
        ("sample_every_n_steps = 0", "sample_every_n_steps", "from 1"),
        ("seed = ", "The file", "no TOML"),
        (f"training_comment = '{'x' * 1_100_000}'", "The file", "1 MB"),
        (f"a = {'[' * 5000}", "The file", "no TOML"),
    ],
)
def test_what_a_configuration_file_is_refused_for(text, key, words):
    with pytest.raises(ConfigError) as refused:
        read_config(text)
    assert refused.value.key == key
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("", "datasets", "missing"),
        ("[[datasets]]", "subsets", "datasets 1"),
        ("[[datasets]]\n[[datasets.subsets]]\nnum_repeats = 2", "image_dir", "missing"),
        ("[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'a'\nnum_repeats = 0", "num_repeats", "from 1"),
        ("[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'a'\nis_reg = 1", "is_reg", "true or false"),
        ("[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'a'\nkeep_token = 1", "keep_token", "keep_tokens"),
        ("[[datasets]]\n[[datasets.subsets]]\nimage_dir = 1", "image_dir", "text"),
        ("[[datasets]]\nbatch_size = -1\n[[datasets.subsets]]\nimage_dir = 'a'", "batch_size", "at least 1"),
        ("[general]\ncaption_dropout_rate = nan\n[[datasets]]", "caption_dropout_rate", "no number"),
        ("[general]\ncolor_aug = true\n[[datasets]]", "color_aug", "not done here"),
        ("datasets = 1", "datasets", "list of tables"),
        ("general = 1", "general", "table"),
        ("[generel]", "generel", "Did you mean general?"),
        ("[[datasets]]\n" * 17, "datasets", "16 are the most"),
    ],
)
def test_what_a_data_set_file_is_refused_for(text, key, words):
    with pytest.raises(ConfigError) as refused:
        read_dataset_config(text)
    assert refused.value.key == key
    assert words in str(refused.value)


def test_presets_are_possible_and_differ():
    made = [preset(name) for name in PRESETS]
    assert len({one[0].model_dump_json() + one[2].model_dump_json() for one in made}) == len(PRESETS)
    assert all(Parameters.model_validate_json(one[0].model_dump_json()) == one[0] for one in made)
