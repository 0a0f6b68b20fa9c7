"""`launch.py train`: configuration, folders, samples, a stop that goes on, and a sentence for bad input."""

import io
import os
import re
import signal
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from setting import picture

from gpu_worker import train as command
from gpu_worker.engine.images.files import read_infotext
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.shell.training.files import Rules
from gpu_worker.shell.training.terminal import Terminal
from gpu_worker.training import saving
from gpu_worker.training.hooks import SavedFile
from gpu_worker.training.steps import Steps

sys.path.append(str(Path(__file__).parents[2] / "fidelity"))

from make_checkpoint import write_checkpoint

CONFIG = """
[model]
pretrained_model_name_or_path = "pincel-demo"
[folders]
train_data_dir = "pictures"
output_dir = "out"
output_name = "zorb"
caption_extension = ".txt"
[training]
resolution = 64
network_dim = 2
unet_lr = 1e-3
text_encoder_lr = 1e-4
train_batch_size = 2
cache_latents = true
xformers = true
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with a configuration and five pictures in `2_zorb`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PINCEL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PINCEL_DEVICE", "cpu")
    folder = tmp_path / "pictures" / "2_zorb"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.png").write_bytes(picture(number, (64, 64)))
        (folder / f"{number}.txt").write_text("zorb, a disc\nnever read")
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(capfd):
    def ran(*words, code=0):
        found = command.main(["config.toml", *map(str, words)])
        out, err = capfd.readouterr()
        assert found == code, err
        return out if code == 0 else err

    return ran


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


# --- before it starts -------------------------------------------------------------------------------------------------


def test_what_is_trained_is_said_first(run, place):
    (place / "pictures" / "ideas").mkdir()
    (place / "pictures" / "loose.png").write_bytes(picture(0))
    reg = place / "class" / "1_disc"
    reg.mkdir(parents=True)
    for number, size in enumerate([(128, 64), (64, 64)]):
        Image.new("RGB", size).save(reg / f"{number}.BMP")
    (place / "pictures" / "2_zorb" / "0.txt").unlink()
    sizes = ("--enable_bucket", "--resolution", "128,128", "--min_bucket_reso", 64, "--bucket_reso_steps", 32)
    length = ("--max_train_epochs", 3, "--gradient_accumulation_steps=2", "--seed", 7)
    said = run("--dry_run", "--reg_data_dir", "class", *sizes, *length)
    assert "Pictures: 2_zorb: 5 x 2 = 10, 4 with a caption; batches of 2" in said
    assert "Pictures: 1_disc: 2 x 1 = 2, of the class, 0 with a caption" in said
    # Pictures of the class are repeated until there are as many: 5 of each size.
    assert "Sizes:    128 x 128: 15, 160 x 96: 5" in said
    assert "6 an epoch of 2 batches each, 3 epochs, 18 steps" in said
    assert "ideas is not read: its name does not begin with a number" in said
    assert "1 pictures directly in" in said
    assert "No effect here: xformers" in said
    assert not (place / "out").exists()


def test_a_data_set_file_decides_over_the_configuration(run, place):
    (place / "data.toml").write_text(
        "[general]\nshuffle_caption = true\n[[datasets]]\nresolution = 128\nbatch_size = 5\n"
        '[[datasets.subsets]]\nimage_dir = "pictures/2_zorb"\nnum_repeats = 3\n'
    )
    said = run("--dataset_config", "data.toml", "--dry_run", "--max_train_steps", 4)
    assert "2_zorb: 5 x 3 = 15, 5 with a caption; batches of 5" in said
    assert "Sizes:    128 x 128: 15" in said
    assert "3 an epoch, 2 epochs, 4 steps" in said
    assert "train_data_dir is not read" in said


def save(path, image, **options):
    target = io.BytesIO()
    image.save(target, path.suffix[1:], **options)
    path.write_bytes(target.getvalue())


def large(folder):
    save(folder / "8k.png", Image.new("L", (7680, 4320)), compress_level=1)


def animated(folder):
    frames = [Image.new("RGB", (32, 32), (shade, 0, 0)) for shade in (0, 255)]
    save(folder / "a.webp", frames[0], save_all=True, append_images=frames[1:])


def bomb(folder):
    """A BMP's header alone claims 60,000 x 60,000 pixels."""
    save(folder / "b.bmp", Image.new("RGB", (8, 8)))
    data = bytearray((folder / "b.bmp").read_bytes())
    data[18:26] = (60_000).to_bytes(4, "little") * 2
    (folder / "b.bmp").write_bytes(data)


def captions_alone(folder):
    for path in folder.glob("*.png"):
        path.unlink()


def no_captions(folder):
    for path in folder.glob("*.txt"):
        path.unlink()
    folder.rename(folder.with_name("2_"))


def no_folder(folder):
    folder.rename(folder.with_name("zorb"))


BAD_PICTURES = {
    "too large": (large, "8k.png has 7680 x 4320 pixels, more than the 17 megapixels"),
    "animated": (animated, "a.webp is animated"),
    "bomb": (bomb, "b.bmp has more pixels than the 17 megapixels"),
    "broken": (lambda folder: (folder / "0.png").write_bytes(picture(0)[:300]), "0.png is broken or no picture"),
    "no picture": (lambda folder: (folder / "x.jpg").write_text("<html>"), "x.jpg is broken or no picture"),
    "captions alone": (captions_alone, "2_zorb holds 5 captions and no pictures. Put pictures"),
    "no captions": (no_captions, "No picture has a caption"),
    "no folder": (no_folder, "no folder of pictures. Put them into one like 10_mychar"),
    "no text": (lambda folder: (folder / "0.txt").write_bytes(b"\xff\xfe\0"), "is no UTF-8 text. Save it anew"),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_bad_pictures_are_named(run, place, case):
    harm, words = BAD_PICTURES[case]
    harm(place / "pictures" / "2_zorb")
    assert words in run(code=2)
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--unet_lr", "nan"], "unet_lr is nan and no number"),
        (["--unet_lr", "1e400"], "unet_lr is inf and no number"),
        (["--network_dims", "4"], "Did you mean network_dim?"),
        (["--network_dim", "2.5"], "network_dim has to be a whole number"),
        (["4"], "4 belongs to no option"),
        (["--network_args", "algo=magic"], "algo has to be one of"),
        (["--shuffle_caption", "maybe"], "shuffle_caption has to be true or false and is 'maybe'"),
        (["--resume", "state"], "resume cannot be 'state'"),
        (["--pretrained_model_name_or_path", "nobody"], "There is no checkpoint nobody, neither as a file nor in the"),
        (["--pretrained_model_name_or_path", "config.toml"], "The checkpoint config.toml"),
        (["--vae", "nobody"], "There is no VAE nobody"),
        (["--train_data_dir", "nowhere"], "nowhere cannot be read"),
        (["--dataset_config", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["--caption_extension", "txt"], 'Write it with its dot: ".txt"'),
        (["--output_name", "a/b"], "output_name is no name for a file"),
        (["--sample_prompts", "prompts.txt", "--sample_every_n_epochs", "1"], "prompts.txt cannot be read"),
        (["--publish", "a/b"], "--publish a/b is no name"),
    ],
)  # fmt: skip
def test_bad_settings_are_named(run, words, said):
    bad = run(*words, "--max_train_steps", 1, code=2)
    assert said in bad
    assert bad.count("\n") == 1


def test_captions_with_another_ending_and_few_pictures_are_told(run, place):
    for number in range(2, 5):
        (place / "pictures" / "2_zorb" / f"{number}.png").unlink()
    said = run("--dry_run", "--caption_extension", ".caption")
    assert "2 captions in pictures/2_zorb are not read" in said
    assert 'Set caption_extension = ".txt".' in said
    assert "2 pictures are few" in said


def test_which_files_are_kept_drawn_with_and_removed():
    given = Parameters(unet_lr=1e-4, save_every_n_epochs=2, save_last_n_epochs=2, save_every_n_steps=4)
    rules = Rules("zorb", given, 3, None)

    def file(name, epoch, step, *, final=False):
        return SavedFile(Path(name), epoch, step, final)

    second, sixth = file("zorb-000002.safetensors", 2, 20), file("zorb-000006.safetensors", 6, 60)
    assert (rules.is_kept(second), rules.mark(second), rules.gone(second)) == (True, None, None)
    assert (rules.is_kept(sixth), rules.mark(sixth), rules.gone(sixth)) == (True, "e000006", "zorb-000002.safetensors")
    third = file("zorb-000003.safetensors", 3, 30)
    assert (rules.is_kept(third), rules.mark(third)) == (False, "e000003")
    steps = file("zorb-step00000060.safetensors", 6, 60)
    assert (rules.is_kept(steps), rules.mark(steps)) == (True, None)
    last = file("zorb.safetensors", 9, 90, final=True)
    assert (rules.is_kept(last), rules.mark(last), rules.gone(last)) == (True, "e000009", None)
    by_steps = Rules("zorb", given, None, 60)
    assert (by_steps.mark(steps), by_steps.mark(last)) == ("000060", None)


def test_files_without_a_name_are_called_as_sd_scripts_calls_them(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    rules = Rules(None, Parameters(unet_lr=1e-4, save_every_n_epochs=1, save_last_n_epochs=1), 2, None)
    for name, epoch, step, called in (
        ("last-000002.safetensors", 2, 20, "epoch-000002.safetensors"),
        ("last-step00000025.safetensors", 3, 25, "at-step00000025.safetensors"),
        ("last.safetensors", 9, 90, "last.safetensors"),
    ):
        (folder / name).touch()
        file = rules.called(SavedFile(folder / name, epoch, step, name == called), "last")
        assert (file.path, names(folder)) == (folder / called, [called])
        if epoch == 2:
            assert (rules.is_kept(file), rules.mark(file)) == (True, "e000002")
            assert rules.gone(file) == "epoch-000001.safetensors"
        file.path.unlink()


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_training_with_samples_from_its_options_to_the_library(run, place):
    (place / "prompts.txt").write_text(
        "a zorb --w 64 --h 64 --s 1 --d 3\n# none\nan apple --w 64 --h 64 --s 1 --ss k_heun"
    )
    words = (
        "--max_train_epochs", 2, "--train_batch_size", 8, "--sample_prompts", "prompts.txt", "--sample_at_first",
        "--sample_every_n_epochs", 1,
    )  # fmt: skip
    said = run(*words)
    # The first epoch's file was there for its samples alone.
    assert names(place / "out") == ["sample", "zorb.safetensors"]
    samples = names(place / "out" / "sample")
    marks = [re.fullmatch(r"zorb_e(\d{6})_(0[01])_\d{14}(_3)?\.png", name).group(1, 2) for name in samples]
    assert marks == [(f"{epoch:06d}", f"0{line}") for epoch in range(3) for line in (0, 1)]
    texts = [read_infotext((place / "out" / "sample" / name).read_bytes()) for name in samples]
    assert texts[0].startswith("a zorb\n")
    assert texts[2].startswith("a zorb <lora:zorb-000001:1>\n")
    assert "Sampler: Heun" in texts[-1]
    assert "Run the same command with --publish" in said
    with safe_open(place / "out" / "zorb.safetensors", "pt") as file:
        assert len(file.metadata()["ss_new_sd_model_hash"]) == 64
    assert "There is already" in run(*words, code=2)
    assert "<lora:mine:1>" in run(*words, "--publish", "mine")
    published = place / "data" / "models" / "loras" / "mine.safetensors"
    assert published.read_bytes() == (place / "out" / "zorb.safetensors").read_bytes()
    assert "Give another name" in run(*words, "--publish", "mine", code=2)


@pytest.mark.slow
def test_the_same_command_goes_on_after_a_stop(run, place, monkeypatch):
    steps = []
    plain = Terminal.progress

    def interrupted(self, progress):
        plain(self, progress)
        steps.append(progress.step)
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Terminal, "progress", interrupted)
    words = ("--max_train_steps", 4)
    assert "Stopping after this step" in run(*words, code=130)
    assert names(place / "out") == ["zorb-training"]
    assert "Another training was begun under this output_name" in run("--max_train_steps", 5, code=2)
    run(*words)
    assert steps == [1, 2, 3, 4]
    assert names(place / "out") == ["zorb.safetensors"]
    stopped = load_file(place / "out" / "zorb.safetensors")
    with safe_open(place / "out" / "zorb.safetensors", "pt") as file:
        seed = file.metadata()["ss_seed"]
    run(*words, "--anew", "--seed", seed)
    whole = load_file(place / "out" / "zorb.safetensors")
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


@pytest.mark.slow
def test_what_ends_a_training_is_said_and_costs_nothing_that_was_learnt(run, place, monkeypatch):
    def out_of_memory(*_):
        raise torch.OutOfMemoryError

    def full(*_):
        raise OSError(28, "No space left on device")

    words = ("--max_train_steps", 2)
    assert "AdamW8bit needs an NVIDIA card" in run(*words, "--optimizer_type", "AdamW8bit", code=2)
    assert names(place / "out") == []
    with monkeypatch.context() as patch:
        patch.setattr(saving, "write_network", full)
        assert "no room to save" in run(*words, code=1)
    with monkeypatch.context() as patch:
        patch.setattr(Steps, "learn", out_of_memory)
        assert "Set gradient_checkpointing to true" in run(*words, code=1)
    run(*words)
    assert names(place / "out") == ["zorb.safetensors"]


@pytest.mark.slow
def test_a_base_that_lies_anywhere_with_two_text_encoders(run, place):
    write_checkpoint(place / "xl.safetensors", "sdxl-small", dtype=torch.float32)
    base = ("--pretrained_model_name_or_path", "xl.safetensors")
    assert "Base:     xl (sdxl)" in run(*base, "--max_train_steps", 1, "--no_half_vae")
    tensors = load_file(place / "out" / "zorb.safetensors")
    assert {name.partition("_text_model")[0] for name in tensors if "_te" in name} == {"lora_te1", "lora_te2"}
