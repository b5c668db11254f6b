"""Rules of the deployment: what the image, the composition and the unit name is there, and fits the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from newsletter.sending.options import DRAIN_SECONDS
from newsletter.sending.sender import JOIN_SECONDS
from newsletter.settings.model import FILE_SUFFIX, SECRETS, setting_name, settings_help
from newsletter.web.serve import GRACE_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STOP_SECONDS = DRAIN_SECONDS + JOIN_SECONDS + GRACE_SECONDS
"""The longest that an orderly end may take."""


def unit() -> dict[str, list[str]]:
    """Return the values of each key of the [Service] section of the unit."""
    # systemd allows a key more than once, which the reader of the standard library does not.
    values: dict[str, list[str]] = {}
    service = (DEPLOY / "newsletter.service").read_text(encoding="utf-8").partition("[Service]")[2]
    for line in service.partition("[Install]")[0].splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(key, []).append(value)
    return values


def copied() -> set[str]:
    """Return what the Dockerfile copies from the checkout."""
    lines = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY ") and "--from" not in line]
    return {source for words in lines for source in words[:-1]}


def test_what_the_wheel_is_made_of_goes_into_the_image() -> None:
    """Each file that the build of the wheel reads is copied, and `.dockerignore` lets it through."""
    target = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    licences = PROJECT["project"]["license-files"]
    needed = {*target["packages"], *target["force-include"], PROJECT["project"]["readme"], *licences, "pyproject.toml"}
    assert needed <= copied()
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignore if line.startswith("!")} == copied()
    assert all((ROOT / source).exists() for source in copied())


def test_the_image_is_installed_from_the_locks() -> None:
    """Every package comes from a lock, with its hash, and what is built is installed without an index."""
    installs = re.findall(r"pip install (.*)", DOCKERFILE)
    assert installs
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)


def test_the_image_does_not_run_as_root() -> None:
    """The last USER is a number, and the check of health asks the port that the image sets."""
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"
    port = re.search(r"NEWSLETTER_WEB_PORT=(\d+)", DOCKERFILE)
    assert port
    assert f"127.0.0.1:{port[1]}/healthz" in DOCKERFILE


def test_settings_that_the_files_name_exist() -> None:
    """A setting in the image, the composition or the unit is one of the program's."""
    known = {setting.name for setting in settings_help()} | {"NEWSLETTER_HOME"}
    known |= {setting_name(key) + FILE_SUFFIX for key in SECRETS}
    for path in sorted(DEPLOY.iterdir()):
        named = set(re.findall(r"\bNEWSLETTER_[A-Z_]+\b", path.read_text(encoding="utf-8")))
        assert named <= known, path.name


def test_an_end_has_the_time_it_needs() -> None:
    """Both systemd and Docker wait longer for the end than messages in flight and open requests may take."""
    assert int(unit()["TimeoutStopSec"][0]) > STOP_SECONDS
    for name in ("newsletter", "newsletter-postgres", "second-sender"):
        assert int(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) > STOP_SECONDS


def test_the_unit_says_what_the_program_does() -> None:
    """The unit is of the kind that the service speaks to, and does not start it again over wrong settings."""
    service = unit()
    assert service["Type"] == ["notify"]
    assert service["WatchdogSec"] == ["5min"]
    assert service["RestartPreventExitStatus"] == ["2"]
    assert service["ExecStart"][0].endswith("/newsletter run")


@pytest.mark.parametrize("name", ["newsletter", "newsletter-postgres"])
def test_a_new_container_is_the_same_machine(name: str) -> None:
    """The host name is fixed: the database would take a container with a random one for another machine, and hold."""
    service = COMPOSE["services"][name]
    assert service["hostname"] == "newsletter"
    assert service["read_only"]
    # The state folder is a volume of its own: it must not be copied or restored along with the data.
    state = ["/var/lib/newsletter-state"] if name == "newsletter" else []
    assert [volume.rpartition(":")[2] for volume in service["volumes"]] == ["/data", *state]
    assert service["restart"] == "unless-stopped"


def test_a_second_sender_has_journals_of_its_own() -> None:
    """It reads the settings of the service and cannot change them, and writes where no other container does."""
    service = COMPOSE["services"]["second-sender"]
    assert service["command"] == ["run", "--only", "sender"]
    assert service["environment"]["NEWSLETTER_JOURNAL_DIR"].startswith("/data/")
    assert service["volumes"] == [f"home:{service['environment']['NEWSLETTER_HOME']}:ro", "second-sender:/data"]
    assert service["hostname"] != COMPOSE["services"]["newsletter-postgres"]["hostname"]
    assert service["healthcheck"] == {"disable": True}


def test_volumes_and_secrets_are_declared() -> None:
    """What a service uses stands at the end of the file."""
    for service in COMPOSE["services"].values():
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= COMPOSE["volumes"].keys()
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
