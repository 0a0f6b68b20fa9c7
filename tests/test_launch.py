"""launch.py, run for real in a small checkout of its own; only uv, the way to the network, is a stub."""

import ast
import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from bot import exit_codes

CHECKOUT = Path(__file__).resolve().parents[1]
WAIT_S = 20

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="drives POSIX signals and a shell script")

STUB_UV = """#!{python}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("uv {version}")
    sys.exit()
with open({log!r}, "a") as log:
    keep = {{k: v for k, v in os.environ.items() if k.startswith(("UV_", "SSL_"))}}
    log.write(json.dumps([sys.argv[1:], keep]) + "\\n")
sys.exit(int(os.environ.get("STUB_UV_STATUS", "0")))
"""

STUB_BOT = """
import json, os, sys
print(json.dumps({k: v for k, v in os.environ.items() if k.startswith("PINCEL_")}))
sys.exit(int(os.environ.get("STUB_BOT_STATUS", "0")))
"""

WAITING_BOT = """
import os, signal, sys, time
def say(text):
    os.write(1, text.encode() + b"\\n")
def stop(number, frame):
    say("asked " + signal.Signals(number).name)
    if os.environ.get("STUB_BOT_STUBBORN"):
        return
    open("stopped", "w").close()
    sys.exit(0)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
say("up %d" % os.getpid())
while True:
    time.sleep(0.02)
"""


class Tree:
    """A checkout with launch.py, what it imports, a stub bot and a stub uv on its PATH."""

    def __init__(self, root: Path, bin_dir: Path) -> None:
        self.root = root
        self.uv_log = bin_dir / "uv.log"
        for name in ("launch.py", "pyproject.toml", "constraints.txt", ".env.example"):
            shutil.copy(CHECKOUT / name, root / name)
        (root / "bot").mkdir()
        for name in ("__init__.py", "exit_codes.py", "errors.py", "operator_language.py"):
            shutil.copy(CHECKOUT / "bot" / name, root / "bot" / name)
        shutil.copytree(CHECKOUT / "bot" / "i18n", root / "bot" / "i18n", ignore=shutil.ignore_patterns("__pycache__"))
        self.write("bot/__main__.py", STUB_BOT)
        bin_dir.mkdir()
        self.stub(bin_dir / "uv", STUB_UV.format(python=sys.executable, version="0.13.9", log=str(self.uv_log)))
        self.env = {
            "PATH": f"{bin_dir}{os.pathsep}/usr/bin{os.pathsep}/bin", "HOME": str(bin_dir), "LC_ALL": "en_US.UTF-8",
        }  # fmt: skip

    @staticmethod
    def stub(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def write(self, name: str, text: str) -> None:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def launch(self, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, self.root / "launch.py", *arguments],
            env=self.env | env, cwd=cwd or self.root, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def start(self, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, self.root / "launch.py"],
            env=self.env | env, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def uv_calls(self) -> list[tuple[list[str], dict[str, str]]]:
        return (
            [tuple(json.loads(line)) for line in self.uv_log.read_text().splitlines()] if self.uv_log.exists() else []
        )


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "checkout"
    root.mkdir()
    return Tree(root, tmp_path / "bin")


@pytest.fixture
def ready(tree):
    """A tree whose environment is prepared."""
    assert tree.launch().returncode == 0
    tree.uv_log.unlink()
    return tree


@pytest.fixture
def launch():
    """launch.py as a module, for the parts that ask about another platform."""
    spec = importlib.util.spec_from_file_location("launch_under_test", CHECKOUT / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def until(condition) -> None:
    limit = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


# --- command line -----------------------------------------------------------------------------------------------------


def test_version_and_help(tree):
    assert re.fullmatch(r"Pincel \d+\.\d+\.\d+\n", tree.launch("--version").stdout)
    shown = tree.launch("--help").stdout
    assert all(
        word in shown for word in ("test", "doctor", "imagine", "worker", "bench", "models", "--listen", "--password")
    )
    codes = [value for name, value in vars(exit_codes).items() if name.isupper()]
    assert all(re.search(rf"^  {code} ", shown, re.MULTILINE) for code in codes)
    assert not (tree.root / ".venv").exists()


@pytest.mark.parametrize("argument", ["tset", "--listne=1"])
def test_bad_usage(tree, argument):
    result = tree.launch(argument)
    assert result.returncode == exit_codes.USAGE
    assert argument in result.stderr


def test_exit_codes_are_distinct_and_documented():
    codes = {name: value for name, value in vars(exit_codes).items() if name.isupper()}
    assert len(set(codes.values())) == len(codes)
    page = (CHECKOUT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert [code for code in codes.values() if not re.search(rf"^\| {code} \|", page, re.MULTILINE)] == []


def test_old_python_is_told_in_one_sentence():
    code = "import runpy, sys; sys.version_info = (3, 9, 0); runpy.run_path('launch.py', run_name='__main__')"
    result = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert result.returncode == exit_codes.PYTHON_TOO_OLD
    assert re.fullmatch(r"Pincel needs Python 3\.11 or newer, and this is Python 3\.9\. [^\n]+\n", result.stderr)


@pytest.mark.parametrize("name", ["launch.py", "bot/__init__.py", "bot/exit_codes.py"])
def test_what_an_old_python_reads_has_no_new_syntax(name):
    tree = ast.parse((CHECKOUT / name).read_text(encoding="utf-8"), feature_version=(3, 7))
    new = (ast.NamedExpr, ast.Match) if hasattr(ast, "Match") else (ast.NamedExpr,)
    assert not [node for node in ast.walk(tree) if isinstance(node, new)]


# --- the environment --------------------------------------------------------------------------------------------------


def test_first_start_prepares_writes_env_and_starts(tree):
    result = tree.launch()
    assert result.returncode == 0, result.stderr
    ((arguments, _),) = tree.uv_calls()
    assert arguments == [
        "pip", "install", "--python", str(tree.root / ".venv/bin/python"),
        "-r", "pyproject.toml", "-c", "constraints.txt", "--extra", "gpu",
    ]  # fmt: skip
    assert (tree.root / ".env").read_bytes() == (tree.root / ".env.example").read_bytes()
    assert stat.S_IMODE((tree.root / ".env").stat().st_mode) == 0o600
    assert "Preparing" in result.stdout
    assert "Ready after" in result.stdout


def test_second_start_needs_no_uv_and_leaves_env_alone(ready):
    (ready.root / ".env").write_text("PINCEL_MAX_SIDE=512\n")
    result = ready.launch()
    assert (result.returncode, ready.uv_calls()) == (0, [])
    assert (ready.root / ".env").read_text() == "PINCEL_MAX_SIDE=512\n"
    assert "Preparing" not in result.stdout


def test_changed_pins_are_installed_and_other_changes_are_not(ready):
    project = ready.root / "pyproject.toml"
    project.write_text(project.read_text().replace("line-length = 120", "line-length = 99"))
    ready.launch()
    assert ready.uv_calls() == []
    with (ready.root / "constraints.txt").open("a") as pins:
        pins.write("colorama==0.4.6\n")
    ready.launch()
    ready.launch()
    assert len(ready.uv_calls()) == 1


def test_failed_install_ends_in_a_sentence_and_is_taken_up_again(tree):
    result = tree.launch(STUB_UV_STATUS="1")
    assert result.returncode == exit_codes.ENVIRONMENT
    assert "could not be prepared" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "Traceback" in (tree.root / "data/logs/launch.log").read_text()
    assert tree.launch().returncode == 0
    assert len(tree.uv_calls()) == 2


def test_dead_venv_is_made_anew(ready):
    python = ready.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to(ready.root / "no-such-python")
    assert ready.launch().returncode == 0
    assert len(ready.uv_calls()) == 1


def test_bot_without_worker_stays_small(tree):
    tree.write(".env", "PINCEL_WORKERS=0  # the GPU sits elsewhere\n")
    assert tree.launch().returncode == 0
    assert "--extra" not in tree.uv_calls()[0][0]


@pytest.mark.parametrize("command", [[], ["doctor"]])
def test_broker_of_its_own_brings_its_server_unless_the_system_has_one(tree, command):
    tree.write("bot/doctor.py", "")
    tree.write(".env", "PINCEL_WORKERS=0\nPINCEL_BROKER=0.0.0.0:4222\n")
    assert tree.launch(*command).returncode == 0
    assert tree.uv_calls()[0][0][-4:] == ["--extra", "broker", "--extra", "looker"]


def test_broker_of_its_own_takes_the_systems_server(tree):
    tree.stub(tree.uv_log.with_name("nats-server"), "#!/bin/sh\n")
    tree.write(".env", "PINCEL_WORKERS=0\nPINCEL_BROKER=0.0.0.0:4222\n")
    assert tree.launch().returncode == 0
    assert "broker" not in tree.uv_calls()[0][0]


def test_bot_of_remote_workers_alone_gets_what_it_looks_with(tree):
    tree.write(".env", "PINCEL_WORKERS=0\nPINCEL_NATS_URL=nats://10.0.0.5:4222\n")
    assert tree.launch().returncode == 0
    assert tree.uv_calls()[0][0][-2:] == ["--extra", "looker"]


def test_extras_add_up(ready):
    for module in ("ruff", "pyright", "pytest"):
        ready.write(f"{module}.py", "")
    ready.write("importlinter/__init__.py", "")
    ready.write("importlinter/cli.py", "def lint_imports_command(): pass")
    assert ready.launch("test").returncode == 0
    assert ready.uv_calls()[0][0][-4:] == ["--extra", "dev", "--extra", "gpu"]
    ready.launch()
    assert len(ready.uv_calls()) == 1
    with (ready.root / "constraints.txt").open("a") as pins:
        pins.write("colorama==0.4.6\n")
    ready.launch()
    assert ready.uv_calls()[1][0][-4:] == ["--extra", "dev", "--extra", "gpu"]


def test_pips_settings_reach_uv(tree):
    tree.launch(PIP_CERT="/etc/ca.pem", PIP_INDEX_URL="https://mirror.invalid/simple", PIP_DEFAULT_TIMEOUT="99")
    env = tree.uv_calls()[0][1]
    assert env["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert env["UV_DEFAULT_INDEX"] == "https://mirror.invalid/simple"
    assert env["UV_HTTP_TIMEOUT"] == "99"


def test_uvs_own_settings_win(tree):
    tree.launch(PIP_INDEX_URL="https://a.invalid", UV_INDEX_URL="https://b.invalid", SSL_CERT_FILE="/b", PIP_CERT="/a")
    env = tree.uv_calls()[0][1]
    assert "UV_DEFAULT_INDEX" not in env
    assert (env["UV_INDEX_URL"], env["SSL_CERT_FILE"]) == ("https://b.invalid", "/b")


def test_old_uv_is_not_used(launch, tmp_path):
    for version, usable in (("0.4.30", False), ("0.13.9", True), ("1.0.0", True)):
        uv = tmp_path / version
        Tree.stub(uv, f"#!/bin/sh\necho 'uv {version} (somewhere)'\n")
        assert launch.uv_is_usable(uv) is usable
    assert not launch.uv_is_usable(tmp_path / "none")


def test_python_without_ensurepip_names_the_package(launch, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(launch.StartupError) as caught:
        launch.find_uv(tmp_path / "bin" / "python")
    assert caught.value.exit_code == exit_codes.ENVIRONMENT
    assert f"apt install python3.{sys.version_info[1]}-venv" in caught.value.fix


@pytest.mark.parametrize(
    ("windows", "nvidia", "amd", "cards", "expected"),
    [
        (True, True, False, "", ["--torch-backend=auto"]),
        (True, False, False, "AMD Radeon RX 9070", ["--torch-backend=auto"]),
        (True, False, False, "NVIDIA GeForce RTX 5060", ["--torch-backend=auto"]),
        (True, False, False, "Intel(R) UHD Graphics", []),
        (False, True, False, "", []),
        (False, False, True, "", ["--torch-backend=auto"]),
        (False, False, False, "", []),
    ],
)
def test_build_of_torch_follows_system_and_card(launch, monkeypatch, windows, nvidia, amd, cards, expected):
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    monkeypatch.setattr(launch, "WINDOWS", windows)
    for name, value in (("nvidia_card", nvidia), ("amd_card", amd), ("windows_cards", cards)):
        monkeypatch.setattr(launch, name, lambda value=value: value)
    assert launch.torch_backend({"gpu"}) == expected
    assert launch.torch_backend(set()) == []
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")
    assert launch.torch_backend({"gpu"}) == []


def test_missing_tool_is_no_card(launch, tmp_path):
    assert launch.output_of([str(tmp_path / "nvidia-smi"), "-L"]) == ""


# --- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, exit_codes.TOKEN, exit_codes.PORT_TAKEN, exit_codes.SETTINGS])
def test_exit_code_of_the_bot_is_passed_on_without_comment(ready, code):
    result = ready.launch(STUB_BOT_STATUS=str(code))
    assert result.returncode == code
    assert "doctor" not in result.stdout + result.stderr


def test_crash_of_the_bot_points_to_the_doctor(ready):
    assert "launch.py doctor" in ready.launch(STUB_BOT_STATUS="1").stdout
    ready.write("bot/__main__.py", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    result = ready.launch()
    assert result.returncode == 128 + signal.SIGSEGV
    assert "launch.py doctor" in result.stdout


def test_fault_of_the_launcher_itself_is_a_sentence_and_a_log(tree):
    tree.write("pyproject.toml", "this is no TOML")
    result = tree.launch()
    assert result.returncode == exit_codes.UNEXPECTED
    assert "Traceback" not in result.stderr
    log = tree.root / "data/logs/launch.log"
    assert str(log) in result.stderr
    assert "TOMLDecodeError" in log.read_text()


def test_launcher_speaks_the_operators_language(tree):
    assert "No se pudo preparar" in tree.launch(STUB_UV_STATUS="1", LC_ALL="es_ES.UTF-8").stderr


def test_console_that_cannot_show_a_character_is_no_obstacle(tree):
    result = tree.launch(PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert "?" in result.stdout


def test_listen_and_password_reach_the_bot(ready):
    seen = json.loads(ready.launch("--listen", "--password", "correct horse").stdout)
    assert seen == {"PINCEL_LISTEN": "0.0.0.0", "PINCEL_PASSWORD": "correct horse"}
    assert json.loads(ready.launch("--listen", "192.0.2.7").stdout) == {"PINCEL_LISTEN": "192.0.2.7"}


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(ready):
    """Starts the launcher on a bot that waits; gives (launcher, pid of the bot)."""
    ready.write("bot/__main__.py", WAITING_BOT)
    started: list[tuple[subprocess.Popen[str], int]] = []

    def start(**env):
        process = ready.start(**env)
        word, pid = process.stdout.readline().split()
        assert word == "up"
        started.append((process, int(pid)))
        return started[-1]

    yield start
    for process, pid in started:
        process.kill()
        # Nothing is left where a test fails; its own process group tells the bot from a stranger with a reused id.
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stop_signals_reach_the_bot_once_and_gracefully(running, number):
    process, _ = running()
    process.send_signal(number)
    printed, _ = process.communicate(timeout=WAIT_S)
    asked = "SIGINT" if number == signal.SIGINT else "SIGTERM"
    assert (printed, process.returncode) == (f"asked {asked}\n", 0)


def test_second_ctrl_c_ends_a_bot_that_does_not(running):
    process, _ = running(STUB_BOT_STUBBORN="1")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "asked SIGINT\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == exit_codes.INTERRUPTED


def test_grace_is_bounded(ready):
    ready.write("bot/__main__.py", WAITING_BOT)
    code = "import launch, sys; launch.STOP_GRACE_S = 0.3; sys.exit(launch.guarded([]))"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ready.root, env=ready.env | {"STUB_BOT_STUBBORN": "1"},
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline().startswith("up")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == exit_codes.INTERRUPTED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_killed_launcher_takes_the_bot_with_it_in_good_order(running, ready):
    process, _ = running()
    process.kill()
    until((ready.root / "stopped").exists)


def test_ctrl_c_while_preparing_is_an_interruption(tree):
    marker = tree.root / "installing"
    uv = Path(tree.env["PATH"].split(os.pathsep)[0]) / "uv"
    answer = "[ \"$1\" = --version ] && echo 'uv 0.13.9' && exit"
    Tree.stub(uv, f"#!/bin/sh\n{answer}\ntouch {marker}\nexec sleep 10 >/dev/null 2>&1\n")
    process = tree.start()
    until(marker.exists)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == exit_codes.INTERRUPTED
    assert "The next start goes on from here." in printed
    assert "Traceback" not in printed


# --- sub-commands -----------------------------------------------------------------------------------------------------

STUB_MODULE = "import json, os, sys; print(json.dumps([os.getcwd(), sys.argv[1:]])); sys.exit(3)"


@pytest.mark.parametrize("command", ["imagine", "train"])
def test_commands_with_files_run_where_they_were_called(ready, tmp_path, command):
    ready.write("gpu_worker/__init__.py", "")
    ready.write(f"gpu_worker/{command}.py", STUB_MODULE)
    (tmp_path / "gpu_worker").mkdir()
    result = ready.launch(command, "a red apple", "--out", "apple.png", cwd=tmp_path)
    assert json.loads(result.stdout) == [str(tmp_path), ["a red apple", "--out", "apple.png"]]
    assert result.returncode == 3


@pytest.mark.parametrize(
    ("written", "meant"), [("kept", "{root}/kept"), ("~/kept", "{home}/kept"), ("", "{root}/data")]
)
def test_the_data_folder_is_the_bots_wherever_it_is_called(ready, tmp_path, written, meant):
    ready.write(".env", f"PINCEL_DATA={written}\n")
    for module in ("imagine", "train", "__main__"):
        ready.write(f"gpu_worker/{module}.py", "import os; print(os.environ['PINCEL_DATA'])")
    for command in ("imagine", "train", "worker"):
        found = ready.launch(command, cwd=tmp_path).stdout.strip()
        assert found == meant.format(root=ready.root, home=ready.env["HOME"])


def test_worker_gets_what_the_bot_would_give_it(ready):
    ready.write("gpu_worker/__main__.py", STUB_MODULE)
    ready.write(".env", "PINCEL_DEVICE='cuda:1'\n")
    cwd, arguments = json.loads(ready.launch("worker", "--check").stdout)
    assert cwd == str(ready.root)
    assert arguments == [
        "--data", str(ready.root / "data"), "--demo", str(ready.root / "data/demo"), "--device", "cuda:1", "--check",
    ]  # fmt: skip


def test_worker_joins_by_the_invite_of_an_earlier_start_or_by_what_is_given(ready, tmp_path):
    ready.write("gpu_worker/__main__.py", STUB_MODULE)
    (tmp_path / "garage.txt").write_text("pincel1-x")

    def told(*arguments: str) -> list[str]:
        return json.loads(ready.launch("worker", *arguments, cwd=tmp_path).stdout)[1][6:]

    assert told() == ["--invite"]
    assert told("--cards", "0,2") == ["--invite", "--cards", "0,2"]
    assert told("--nats", "nats://x", "--name", "attic") == ["--nats", "nats://x", "--name", "attic"]
    assert told("--invite=pincel1-x") == ["--invite=pincel1-x"]
    assert told("--invite", "pincel1-x") == ["--invite", "pincel1-x"]
    # It runs in our folder, and the file is where this was called.
    assert told("--invite", "garage.txt") == ["--invite", str((tmp_path / "garage.txt").resolve())]
    assert told("--invite=garage.txt") == [f"--invite={(tmp_path / 'garage.txt').resolve()}"]
    # A real one is longer than a file's name may be.
    real = "pincel1-" + "x" * 800
    assert told("--invite", real) == ["--invite", real]


def test_worker_hears_a_second_ctrl_c_itself_and_may_take_its_time_before(ready):
    ready.write(
        "gpu_worker/__main__.py",
        "import os, signal, sys, time\n"
        "asked = []\n"
        # print may not be called while it is at work.
        "signal.signal(signal.SIGINT, lambda *_: (asked.append(1), os.write(1, b'asked %d\\n' % len(asked))))\n"
        "print('up', flush=True)\n"
        "while len(asked) < 2:\n    time.sleep(0.05)\n"
        "sys.exit(7)\n",
    )
    code = "import launch, sys; launch.STOP_GRACE_S = 30; sys.exit(launch.guarded(['worker']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ready.root, env=ready.env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        for number in (1, 2):
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == f"asked {number}\n"
        assert process.wait(WAIT_S) == 7


@pytest.mark.parametrize(
    ("command", "module"), [("doctor", "bot/doctor"), ("bench", "bench"), ("models", "bot/models_cli")]
)
def test_other_commands_are_modules_of_ours(ready, command, module):
    ready.write(f"{module}/__init__.py", "")
    ready.write(f"{module}/__main__.py", STUB_MODULE)
    result = ready.launch(command, "--json")
    assert json.loads(result.stdout)[1] == ["--json"]
    assert result.returncode == 3


def test_models_convert_is_the_workers_and_runs_where_it_was_called(ready, tmp_path):
    ready.write("gpu_worker/__init__.py", "")
    ready.write("gpu_worker/convert/__init__.py", "")
    ready.write("gpu_worker/convert/__main__.py", STUB_MODULE)
    result = ready.launch("models", "convert", "old.ckpt", "--out", "new.safetensors", cwd=tmp_path)
    assert json.loads(result.stdout) == [str(tmp_path), ["old.ckpt", "--out", "new.safetensors"]]
    assert result.returncode == 3


@pytest.mark.parametrize(("system", "language"), [("es_MX.UTF-8", "es"), ("C", "en")])
def test_converting_speaks_the_operators_language(ready, system, language):
    ready.write("gpu_worker/__init__.py", "")
    ready.write("gpu_worker/convert/__init__.py", "")
    ready.write("gpu_worker/convert/__main__.py", "import os\nprint(os.environ['PINCEL_LANGUAGE'])\n")
    assert ready.launch("models", "convert", LC_ALL=system).stdout.strip() == language


@pytest.mark.parametrize(
    ("arguments", "gpu"), [(["list"], False), (["verify"], False), (["install", "start"], False), (["convert"], True)]
)
def test_only_converting_models_needs_torch(tree, arguments, gpu):
    tree.launch("models", *arguments)
    assert ("gpu" in tree.uv_calls()[0][0]) == gpu


# --- the offer at the first start -------------------------------------------------------------------------------------

ASKING = """
import os, pathlib, sys
assert sys.argv[1:] == ["offer"]
answer = input("install? ")
print("answered", answer)
pathlib.Path("data").mkdir(exist_ok=True)
pathlib.Path("data/models-offered").write_text(answer)
"""


def at_a_terminal(tree, typed, **env):
    """What launch.py shows to a person who types this."""
    import pty

    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, tree.root / "launch.py"],
        env=tree.env | env, cwd=tree.root, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    ) as started:  # fmt: skip
        os.close(slave)
        os.write(master, typed)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone when the last process is
            while piece := os.read(master, 4096):
                shown += piece
        status = started.wait(WAIT_S)
    os.close(master)
    return status, shown.decode()


def test_models_are_offered_once_to_a_person(ready):
    ready.write("bot/models_cli/__init__.py", "")
    ready.write("bot/models_cli/__main__.py", ASKING)
    ready.write("bot/__main__.py", "print('bot', 'started')")
    status, shown = at_a_terminal(ready, b"no\n")
    assert status == 0
    assert shown.index("answered no") < shown.index("bot started")
    assert "install?" not in at_a_terminal(ready, b"")[1]


def test_models_are_not_offered_to_scripts_or_ci(ready):
    ready.write("bot/models_cli/__init__.py", "")
    ready.write("bot/models_cli/__main__.py", ASKING)
    assert "install?" not in ready.launch().stdout
    assert "install?" not in at_a_terminal(ready, b"", CI="true")[1]


def test_interrupt_at_the_offer_starts_nothing(ready):
    ready.write("bot/models_cli/__init__.py", "")
    ready.write("bot/models_cli/__main__.py", f"import sys; sys.exit({exit_codes.INTERRUPTED})")
    ready.write("bot/__main__.py", "print('bot', 'started')")
    status, shown = at_a_terminal(ready, b"")
    assert status == exit_codes.INTERRUPTED
    assert "bot started" not in shown


@pytest.fixture
def checks(ready):
    """A tree whose checking tools are stubs that say their name and arguments."""
    for module in ("ruff", "pyright", "pytest"):
        ready.write(f"{module}.py", f"import sys; print('{module}', *sys.argv[1:])")
    ready.write("importlinter/__init__.py", "")
    ready.write("importlinter/cli.py", "def lint_imports_command(): print('lint-imports')")
    return ready


def test_every_check_runs_and_is_timed(checks):
    result = checks.launch("test", "tests/bot", "-k", "settings")
    assert result.returncode == 0, result.stderr
    assert "ruff check ." in result.stdout
    assert "ruff format --check ." in result.stdout
    assert "lint-imports" in result.stdout
    assert re.search(r"^pytest -n \d+ .*tests/bot -k settings$", result.stdout, re.MULTILINE)
    assert len(re.findall(r"^[a-z -]+ \d+\.\d s  ok$", result.stdout, re.MULTILINE)) == 5


def test_a_failure_does_not_keep_the_others_from_running(checks):
    checks.write("ruff.py", "import sys; sys.exit(1)")
    result = checks.launch("test")
    assert result.returncode == exit_codes.UNEXPECTED
    assert len(re.findall(r"failed \(exit code 1\)$", result.stdout, re.MULTILINE)) == 2
    assert re.search(r"^pytest -n", result.stdout, re.MULTILINE)


def test_what_the_machine_lacks_is_said_and_left_out(checks, launch, monkeypatch):
    monkeypatch.setattr(launch, "ROOT", checks.root)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    ran: list[list[str]] = []
    said: list[str] = []
    python = checks.root / ".venv/bin/python"
    monkeypatch.setattr(launch, "prepare", lambda extras: python)
    monkeypatch.setattr(launch, "tell", said.append)
    monkeypatch.setattr(
        launch.subprocess, "run", lambda command, **_: ran.append(command) or types.SimpleNamespace(returncode=0)
    )
    for browser, gpu, markers in [
        (None, False, ["-m", "not browser and not gpu"]), ("/usr/bin/chromium", False, ["-m", "not gpu"]),
        ("/usr/bin/chromium", True, []),
    ]:  # fmt: skip
        monkeypatch.setattr(launch, "find_browser", lambda browser=browser: browser)
        monkeypatch.setattr(launch, "nvidia_card", lambda gpu=gpu: gpu)
        monkeypatch.setattr(launch, "amd_card", lambda: False)
        said.clear()
        assert launch.test([]) == 0
        assert ran[-1][ran[-1].index("--durations=25") + 1 :] == markers
        assert any("page test is left out" in text for text in said) == (browser is None)
        assert any("need one are left out" in text for text in said) != gpu


def test_ci_calls_the_same_command(tmp_path):
    """With a browser there, .ci/run installs nothing and hands over."""
    Tree.stub(tmp_path / "chromium", "#!/bin/sh\n")
    Tree.stub(tmp_path / "python3", '#!/bin/sh\necho "$CI $(pwd) $*"\ncat\n')
    result = subprocess.run(
        [CHECKOUT / ".ci" / "run"], env={"PATH": f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"},
        input="never read", cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_S, check=True,
    )  # fmt: skip
    assert result.stdout == f"true {CHECKOUT} launch.py test\n"
