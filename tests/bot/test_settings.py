"""Settings: what is read, what is refused and how, and that .env.example tells the truth."""

import os
from pathlib import Path

import pytest
from dotenv import dotenv_values

from bot import exit_codes
from bot.errors import StartupError
from bot.i18n import texts_for
from bot.settings import CHECKOUT, Settings, is_loopback, load_settings, setting_keys, split_address

EXAMPLE = CHECKOUT / ".env.example"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for key in list(os.environ):
        if key.startswith(("PINCEL_", "DISCORD_")):
            monkeypatch.delenv(key)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")


@pytest.fixture
def env(tmp_path):
    def write(text: str, encoding: str = "utf-8") -> Path:
        file = tmp_path / ".env"
        file.write_bytes(text.encode(encoding))
        return file

    return write


def refused(file: Path | None) -> StartupError:
    with pytest.raises(StartupError) as caught:
        load_settings(file)
    assert caught.value.exit_code == exit_codes.SETTINGS
    return caught.value


def example_entries() -> dict[str, tuple[str, str]]:
    """Key → (comment above it, value shown)."""
    entries: dict[str, tuple[str, str]] = {}
    comment = ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        entry = line.removeprefix("#")
        key, equals, value = entry.partition("=")
        if equals and key.isupper() and " " not in key:
            entries[key] = (comment, value)
            comment = ""
        elif line.startswith("# "):
            comment = f"{comment} {line[2:]}".strip()
        else:
            comment = ""
    return entries


def test_example_lists_exactly_the_settings_in_order():
    assert list(example_entries()) == list(setting_keys())


@pytest.mark.parametrize("key", list(setting_keys()))
def test_example_carries_the_comment_and_the_default(key, monkeypatch):
    comment, value = example_entries()[key]
    name = setting_keys()[key]
    assert comment == Settings.model_fields[name].description
    monkeypatch.setenv(key, value)
    assert getattr(load_settings(None), name) == getattr(Settings(), name)


def test_example_itself_is_a_valid_env_file():
    assert load_settings(EXAMPLE) == load_settings(None)
    assert dotenv_values(EXAMPLE) == {"DISCORD_TOKEN": ""}


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_setting_has_a_meaning_in_words(language):
    say = texts_for(language)
    assert all(key in say(f"startup.settings.{name}") for key, name in setting_keys().items())


def test_defaults():
    settings = load_settings(None)
    assert settings.token.get_secret_value() == ""
    assert settings.data == CHECKOUT / "data"
    assert (settings.playground_port, settings.workers, settings.device, settings.previews) == (8930, 1, "auto", True)


def test_file_is_read_and_the_environment_wins(env, monkeypatch):
    file = env(
        "DISCORD_TOKEN='abc.def.ghi'\nPINCEL_MAX_SIDE=768\nPINCEL_PREVIEWS=off\nPINCEL_TEST_GUILD=81384788765712384\n"
    )
    monkeypatch.setenv("PINCEL_MAX_SIDE", "512")
    settings = load_settings(file)
    assert settings.token.get_secret_value() == "abc.def.ghi"
    assert (settings.max_side, settings.previews, settings.test_guild) == (512, False, 81384788765712384)


def test_model_folders_are_split_and_each_counts_once(env, tmp_path):
    far, near = tmp_path / "a b", CHECKOUT / "near"
    settings = load_settings(env(f"PINCEL_MODEL_FOLDERS={far}; near ;;{far}{os.pathsep}{near}\n"))
    assert settings.model_folders == (far, near)
    words = settings.engine_arguments()
    assert words[-4:] == ("--models", str(far), "--models", str(near))


def test_missing_file_means_defaults(tmp_path):
    assert load_settings(tmp_path / "none") == load_settings(None)


def test_notepads_byte_order_mark_is_no_part_of_the_first_key(env):
    assert load_settings(env("\ufeffPINCEL_WORKERS=0\n")).workers == 0


def test_paths_are_absolute_and_count_from_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PINCEL_DATA", "elsewhere")
    settings = load_settings(None)
    data = CHECKOUT / "elsewhere"
    assert settings.data == data
    assert settings.database_path.parent == data
    assert settings.outputs_dir == data / "outputs"
    assert settings.models_dir == data / "models"
    assert settings.outbox_dir == data / "outbox"
    assert settings.logs_dir == data / "logs"
    assert settings.demo_dir == CHECKOUT / "data" / "demo"


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_settings(None).workers = 3


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("PINCEL_PLAYGROUND_PORT=http", "PINCEL_PLAYGROUND_PORT"),
        ("PINCEL_PLAYGROUND_PORT=70000", "PINCEL_PLAYGROUND_PORT"),
        ("PINCEL_DEVICE=gpu", "PINCEL_DEVICE"),
        ("PINCEL_NATS_URL=http://10.0.0.5:4222", "PINCEL_NATS_URL"),
        ("PINCEL_NATS_KEY=hunter2", "PINCEL_NATS_KEY"),
        ("PINCEL_BROKER=4222", "PINCEL_BROKER"),
        ("PINCEL_BROKER_ADDRESS=http://x", "PINCEL_BROKER_ADDRESS"),
        ("PINCEL_WORKERS=-1", "PINCEL_WORKERS"),
        ("PINCEL_MAX_SIDE=1001", "PINCEL_MAX_SIDE"),
        ("PINCEL_MAX_QUEUED_PER_USER=0", "PINCEL_MAX_QUEUED_PER_USER"),
        ("PINCEL_PREVIEWS=perhaps", "PINCEL_PREVIEWS"),
        ("PINCEL_TEST_GUILD=my server", "PINCEL_TEST_GUILD"),
        ("PINCEL_LOG_LEVEL=loud", "PINCEL_LOG_LEVEL"),
        ("PINCEL_LOG_FORMAT=xml", "PINCEL_LOG_FORMAT"),
        ("PINCEL_METRICS=9464", "PINCEL_METRICS"),
        ("PINCEL_METRICS=127.0.0.1:70000", "PINCEL_METRICS"),
        ("PINCEL_METRICS=http://127.0.0.1:9464", "PINCEL_METRICS"),
    ],
)
def test_unusable_value_is_refused_by_name_with_its_meaning(env, line, key):
    error = refused(env(line))
    assert error.sentence.startswith(key)
    assert error.fix.startswith(f"{key} is ")


@pytest.mark.parametrize("value", ["CUDA:1", " auto ", "cpu"])
def test_device_is_read_without_regard_to_case(env, value):
    assert load_settings(env(f"PINCEL_DEVICE='{value}'")).device == value.strip().lower()


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("PINCEL_PORT", "PINCEL_PLAYGROUND_PORT"), ("PINCEL_DEVISE", "PINCEL_DEVICE"), ("DISCORD_TOKE", "DISCORD_TOKEN")],
)
def test_unknown_key_is_refused_with_the_closest_one(env, typo, meant):
    error = refused(env(f"{typo}=1"))
    assert typo in error.sentence
    assert meant in error.fix


def test_keys_of_other_programs_are_left_alone(env):
    assert load_settings(env("HTTPS_PROXY=localhost\n")) == load_settings(None)


def test_broken_line_is_named_and_not_quoted(env):
    error = refused(env("PINCEL_WORKERS=1\nDISCORD_TOKEN 'very-secret\n"))
    assert "Line 2" in error.sentence
    assert "very-secret" not in str(error)


def test_utf16_file_of_an_old_powershell_is_refused(env):
    assert "UTF-8" in refused(env("DISCORD_TOKEN=a\n", "utf-16")).sentence


@pytest.mark.parametrize(
    ("value", "address", "alone"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464), True),
        ("[::1]:9464", ("::1", 9464), True),
        ("LocalHost:0", ("localhost", 0), True),
        ("0.0.0.0:9464", ("0.0.0.0", 9464), False),
        ("[::]:80", ("::", 80), False),
        ("pincel.internal:80", ("pincel.internal", 80), False),
    ],
)
def test_address_of_metrics_and_whether_this_machine_alone_reaches_it(env, value, address, alone):
    assert split_address(load_settings(env(f"PINCEL_METRICS={value}")).metrics) == address
    assert is_loopback(address[0]) is alone


def test_listening_needs_a_password(env):
    assert "PINCEL_PASSWORD" in refused(env("PINCEL_LISTEN=0.0.0.0")).sentence
    settings = load_settings(env("PINCEL_LISTEN=0.0.0.0\nPINCEL_PASSWORD=correct horse\n"))
    assert settings.listen == "0.0.0.0"


def test_card_for_trainings_needs_a_worker(env):
    assert "PINCEL_WORKERS" in refused(env("PINCEL_TRAINING_DEVICE=cuda:1\nPINCEL_WORKERS=0")).sentence
    settings = load_settings(env("PINCEL_TRAINING_DEVICE=CUDA:1"))
    assert settings.engine_arguments(settings.training_device)[:2] == ("--device", "cuda:1")
    assert settings.engine_arguments()[:2] == ("--device", "auto")


def test_there_is_one_broker_at_most(env):
    assert "PINCEL_NATS_URL" in refused(env("PINCEL_BROKER=0.0.0.0:4222\nPINCEL_NATS_URL=nats://x")).sentence
    assert "PINCEL_NATS_URL" in refused(env("PINCEL_BROKER_FOLDER=x")).fix
    settings = load_settings(env("PINCEL_NATS_URL=tls://x\nPINCEL_BROKER_FOLDER=shared"))
    assert settings.broker_dir == CHECKOUT / "shared"


def test_short_password_is_refused_without_showing_it(env):
    error = refused(env("PINCEL_PASSWORD=hunter2"))
    assert "8" in error.fix
    assert "hunter2" not in str(error)


def test_secrets_never_show(env):
    settings = load_settings(env("DISCORD_TOKEN=very.secret.token\nPINCEL_PASSWORD=correct horse\n"))
    assert "secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert "horse" not in f"{settings!r}"


def test_refusals_speak_the_operators_language(env, monkeypatch):
    monkeypatch.setenv("LC_ALL", "es_MX.UTF-8")
    assert "línea 1" in refused(env("= nonsense\n")).sentence
