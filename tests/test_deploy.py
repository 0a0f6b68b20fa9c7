"""What lies in deploy/ fits the code: settings, paths, commands, codes and figures that it names exist.

No container engine and no Windows is at hand where this runs; docs/deployment.md says what nobody has run.
"""

import http.server
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest
import yaml

from bot import exit_codes
from bot.settings import Settings, setting_keys
from bot.studio.monitoring.looks import LookCollector
from bot.studio.monitoring.meters import KINDS, Meters
from gpu_worker.agent.times import AgentTimes

CHECKOUT = Path(__file__).resolve().parents[1]
DEPLOY = CHECKOUT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
UNITS = {"pincel.service": [], "pincel-worker.service": ["worker"]}
"""Each with its words for launch.py."""
WORKER_STOPS_S = AgentTimes().grace_s + AgentTimes().close_s
MENDED_BY_A_RESTART = {
    exit_codes.OK, exit_codes.UNEXPECTED, exit_codes.OFFLINE, exit_codes.ENVIRONMENT, exit_codes.INTERRUPTED,
}  # fmt: skip


def load(name):
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def module(path):
    spec = importlib.util.spec_from_file_location(f"{path.stem}_of_deploy", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def final_codes():
    codes = {value for name, value in vars(exit_codes).items() if name.isupper()}
    return codes - MENDED_BY_A_RESTART


def test_settings_that_are_named_exist():
    of_workers = set(module(CHECKOUT / "launch.py").ENGINE_SETTINGS)
    for path in FILES:
        named = set(re.findall(r"\b(?:PINCEL|DISCORD)_[A-Z_]+\b", path.read_text(encoding="utf-8")))
        assert named <= set(setting_keys()) | of_workers, path


# --- containers -------------------------------------------------------------------------------------------------------


def instructions():
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [line.split(None, 1) for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]


def test_the_image_installs_what_launch_py_installs():
    launch = module(CHECKOUT / "launch.py")
    found = instructions()
    assert ["ARG", f"UV=uv=={launch.UV_VERSION}"] in found
    (base,) = [value.removeprefix("BASE=") for word, value in found if value.startswith("BASE=")]
    assert ["FROM", "${BASE}"] in found
    version = tuple(map(int, re.fullmatch(r"python:(\d+)\.(\d+)-slim", base).groups()))
    assert version >= launch.PYTHON_MIN
    (install,) = [value for word, value in found if word == "RUN" and "uv pip install" in value]
    assert "-r pyproject.toml -c constraints.txt" in install
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (
        dict(value.split("=", 1) for word, value in found if word == "ARG")["EXTRAS"] in extras["optional-dependencies"]
    )


def test_the_image_runs_the_bot_as_nobody_in_particular():
    found = instructions()
    words = [word for word, _ in found]
    assert [value for word, value in found if word == "USER"] == ["1000:1000"]
    assert words.index("USER") > max(number for number, word in enumerate(words) if word in ("RUN", "COPY"))
    assert dict(found)["CMD"] == '["python", "-m", "bot"]'
    (check,) = [value for word, value in found if word == "HEALTHCHECK"]
    assert (CHECKOUT / json.loads(check.split("CMD ")[1])[1]).is_file()
    environment = dict(re.findall(r"(\w+)=(\S+)", dict(found)["ENV"]))
    assert environment["PINCEL_DATA"] == dict(found)["VOLUME"]
    for key, name in setting_keys().items():
        if key in environment:
            Settings.__pydantic_validator__.validate_assignment(Settings.model_construct(), name, environment[key])


def test_the_image_gets_no_secrets_models_or_environments():
    lines = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").split()
    let_in = [line[1:] for line in lines if line.startswith("!")]
    assert lines[lines.index("*") - 1] != "!"
    assert all((CHECKOUT / name).exists() for name in let_in)
    assert {"bot", "cogs", "gpu_worker", "data/demo", "deploy", "pyproject.toml", "constraints.txt"} <= set(let_in)
    assert not {"data", ".env", ".venv", ".git"} & set(let_in)


def services():
    return load("compose.yaml")["services"]


def arguments():
    return {value.split("=")[0] for word, value in instructions() if word == "ARG"}


def test_a_bot_alone_is_what_compose_starts_unasked():
    assert {name: service.get("profiles") for name, service in services().items()} == {
        "pincel": None, "nats": ["fleet"], "worker": ["worker"],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["pincel", "nats", "worker"])
def test_every_service_is_closed(name):
    service = services()[name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
        True, ["ALL"], ["no-new-privileges:true"],
    )  # fmt: skip
    assert service["user"].startswith("${HOST_UID")
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert ("ports" in service) == (name == "nats")  # all others dial out


def test_what_compose_sets_for_the_bot_are_settings():
    service = services()["pincel"]
    assert (DEPLOY / service["build"]["context"]).resolve() == CHECKOUT
    assert (CHECKOUT / service["build"]["dockerfile"]).is_file()
    assert set(service["build"]["args"]) <= arguments()
    assert (DEPLOY / service["env_file"][0]).resolve() == CHECKOUT / ".env"
    environment = service["environment"]
    (volume,) = service["volumes"]
    assert volume.endswith(f":{environment['PINCEL_DATA']}")
    for key, value in environment.items():
        Settings.__pydantic_validator__.validate_assignment(Settings.model_construct(), setting_keys()[key], value)
    assert environment["PINCEL_METRICS"].startswith("127.0.0.1:")
    assert (CHECKOUT / service["healthcheck"]["test"][2]).is_file()
    assert int(service["stop_grace_period"].rstrip("s")) > module(CHECKOUT / "launch.py").STOP_GRACE_S
    assert {"30s": 30, "2m": 120}[services()["worker"]["stop_grace_period"]] > WORKER_STOPS_S
    ((gpu_name, gpu),) = load("compose.gpu.yaml")["services"].items()
    assert gpu_name == "pincel"
    assert gpu["deploy"] == services()["worker"]["deploy"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (200, {"ready": True, "checks": {"worker": {"ok": True, "reason": None}}}, 0, "ready"),
        (503, {"ready": False, "checks": {"worker": {"ok": False, "reason": "away"}}}, 1, "worker: away"),
        (200, {}, 1, "?"),
        (500, None, 1, "?"),
    ],
)
def test_the_health_check_of_a_container(status, body, code, words):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(b"" if body is None else json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ran = ready(f"0.0.0.0:{server.server_port}")
        server.shutdown()
    assert (ran.returncode, ran.stdout.strip()) == (code, words)


@pytest.mark.parametrize(("address", "words"), [("", "not set"), ("127.0.0.1:1", "does not answer")])
def test_the_health_check_where_nobody_can_be_asked(address, words):
    ran = ready(address)
    assert ran.returncode == 1
    assert words in ran.stderr


def ready(address):
    environment = {**os.environ, "PINCEL_METRICS": address, "http_proxy": "http://127.0.0.1:1"}
    return subprocess.run(
        [sys.executable, DEPLOY / "ready.py"], env=environment, capture_output=True, text=True, timeout=60
    )


# --- services and start scripts ---------------------------------------------------------------------------------------


def unit(name):
    lines = (DEPLOY / "systemd" / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


@pytest.mark.parametrize("name", UNITS)
def test_a_service_starts_launch_py_and_does_not_repeat_what_a_restart_cannot_mend(name):
    found, launch = unit(name), module(CHECKOUT / "launch.py")
    home = found["WorkingDirectory"]
    program, script, *words = found["ExecStart"].split()
    assert (program, script, words) == ("/usr/bin/python3", f"{home}/launch.py", UNITS[name])
    assert found["ReadWritePaths"] == home
    assert (CHECKOUT / Path(found["Documentation"].removeprefix("file://")).relative_to(home)).is_file()
    assert set(map(int, found["RestartPreventExitStatus"].split())) == final_codes()
    assert int(found["TimeoutStopSec"]) > (launch.WORKER_GRACE_S if words else launch.STOP_GRACE_S)
    assert {found[key] for key in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictSUIDSGID")} == {"yes"}
    assert (found["ProtectSystem"], found["CapabilityBoundingSet"], found["User"]) == ("strict", "", "pincel")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_service(name, tmp_path):
    """With a Python that is there: verify looks for the programs. What it says of other units is not ours."""
    here = tmp_path / name
    text = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
    here.write_text(text.replace("/usr/bin/python3", sys.executable), encoding="utf-8")
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", here], capture_output=True, text=True, timeout=60)
    assert [line for line in ran.stderr.splitlines() if name in line] == []


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_start_sh_starts_launch_py_from_anywhere(tmp_path):
    link = tmp_path / "with a space"
    link.symlink_to(CHECKOUT, target_is_directory=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.12").symlink_to(sys.executable)
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    ran = subprocess.run(
        ["/bin/sh", link / "deploy" / "start.sh", "--version"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout[:7]) == (0, "Pincel "), ran.stderr


def test_windows_scripts_find_launch_py_and_know_the_codes():
    batch, worker = ((DEPLOY / "windows" / name).read_bytes() for name in ("start.bat", "worker.bat"))
    for each in (batch, worker):
        assert each.isascii()
        assert each.count(b"\n") == each.count(b"\r\n") > 5
    assert re.findall(rb'call "%~dp0start.bat" (.+)\r', worker) == [b"worker", b'worker --invite "%~f1"']
    assert b'cd /d "%~dp0..\\.."' in batch
    assert b"launch.py %*" in batch
    shell = (DEPLOY / "windows" / "start.ps1").read_text(encoding="ascii")
    assert "Join-Path $PSScriptRoot '..\\..'" in shell
    codes = set(map(int, re.search(r"\$final = @\(([\d, ]+)\)", shell)[1].split(",")))
    assert codes == final_codes() | {exit_codes.OK, exit_codes.INTERRUPTED}


# --- Prometheus -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures():
    """Every name that Prometheus can ask for, with its labels."""
    meters, found = Meters(), {}
    for family in [*meters.registry.collect(), *LookCollector().collect()]:
        suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "info": ("_info",)}
        for suffix in suffixes.get(family.type, ("",)):
            found[family.name + suffix] = family
    return found


def test_alerts_ask_for_figures_that_are_there(figures):
    rules = [rule for group in load("prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 10
    for rule in rules:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        named = set(re.findall(r"\bpincel_\w+", rule["expr"]))
        assert named <= set(figures), rule["alert"]
        assert named or "up{" in rule["expr"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
    assert load("prometheus/prometheus.yml")["rule_files"] == ["alerts.yml"]
    assert load("prometheus/prometheus.yml")["scrape_configs"][0]["job_name"] == "pincel"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_its_files():
    for command in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"]):
        ran = subprocess.run(
            ["promtool", *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_page_names_every_alert_and_no_other():
    page = (CHECKOUT / "docs" / "deployment.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| Pincel"))
    alerts = {rule["alert"] for group in load("prometheus/alerts.yml")["groups"] for rule in group["rules"]}
    assert set(re.findall(r"Pincel\w+", rows)) == alerts


def test_the_page_names_every_figure_and_no_other(figures):
    page = (CHECKOUT / "docs" / "deployment.md").read_text(encoding="utf-8")
    table = set(re.findall(r"`(pincel_\w+)`", page))
    ours = {name for name in figures if name.startswith("pincel_")}
    assert {name.removesuffix("_bucket") for name in ours if not name.endswith(("_sum", "_count"))} == table
    row = next(line for line in page.splitlines() if line.startswith("| `pincel_job_failures_total`"))
    assert all(re.search(rf"\b{kind}\b", row) for kind in KINDS)
