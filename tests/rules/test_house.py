"""Rules of the house: dependencies explained and locked, the example of the settings up to date."""

from __future__ import annotations

import io
import re
import tomllib
from pathlib import Path

import pytest
from dotenv import dotenv_values
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from newsletter import __version__
from newsletter.cli.init_questions import FIRST_QUESTIONS
from newsletter.settings.model import FIRST_SETTINGS, SECRETS, example_env, setting_name, settings_help

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKS = ("requirements.lock", "requirements-postgres.lock", "requirements-dev.lock", "requirements-build.lock")


def names(requirements: list[str]) -> set[str]:
    """Return the names of the packages that a list of requirements asks for."""
    return {canonicalize_name(Requirement(text).name) for text in requirements} - {"newsletter"}


def locked(name: str) -> dict[str, str]:
    """Return the version of each package of a lock, which must have a hash."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text())
    pins = [(re.match(r"([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^ ;]+)", entry), entry) for entry in entries]
    return {match[1]: match[2] for match, entry in pins if match and "--hash=sha256:" in entry}


ASKED = [text for group in (PROJECT["dependencies"], *EXTRAS.values()) for text in group]
DIRECT = {
    "requirements.lock": names(PROJECT["dependencies"]),
    "requirements-postgres.lock": names(PROJECT["dependencies"] + EXTRAS["postgres"] + EXTRAS["dkim"]),
    "requirements-dev.lock": names(ASKED),
    "requirements-build.lock": {"hatchling"},
}


def test_every_dependency_is_explained() -> None:
    """docs/dependencies.md has a row for each package that pyproject.toml names, and for no other."""
    page = (ROOT / "docs/dependencies.md").read_text()
    explained = {canonicalize_name(name) for name in re.findall(r"^\| `([\w.-]+)` \|", page, re.MULTILINE)}
    assert explained == DIRECT["requirements-dev.lock"]


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_every_dependency_with_its_hash(lock: str) -> None:
    """What pyproject.toml asks for stands in the lock, each package with its hashes and without an address."""
    text = (ROOT / lock).read_text()
    assert locked(lock).keys() >= DIRECT[lock]
    assert len(locked(lock)) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))
    assert "://" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_agree_with_each_other(lock: str) -> None:
    """One package has one version, in tests and in earnest."""
    tested = locked("requirements-dev.lock")
    assert {name: version for name, version in locked(lock).items() if tested.get(name) != version} == {}


def test_locked_versions_are_allowed() -> None:
    """A lock that was not renewed after a bound changed is noticed."""
    tested = locked("requirements-dev.lock")
    asked = map(Requirement, ASKED)
    wrong = [str(one) for one in asked if one.name != "newsletter" and not one.specifier.contains(tested[one.name])]
    assert wrong == []


def test_version_is_one() -> None:
    """The package and its metadata say the same version."""
    assert PROJECT["version"] == __version__


def test_changelog_has_a_place_for_what_comes() -> None:
    """The changelog holds the section that the next change is written into."""
    assert "\n## Unreleased\n" in (ROOT / "CHANGELOG.md").read_text()


def test_example_env_is_up_to_date() -> None:
    """config.example.env shows every setting in order, with its sentence and its default."""
    assert (ROOT / "config.example.env").read_text() == example_env(), (
        "write it anew: python -c 'from newsletter.settings.model import example_env; print(example_env(), end=str())' "
        "> config.example.env"
    )


def test_example_env_lists_each_setting_once() -> None:
    """Every setting stands in the example once, and with its default when the comment mark is taken away."""
    text = re.sub(r"^# (?=NEWSLETTER_)", "", (ROOT / "config.example.env").read_text(), flags=re.MULTILINE)
    assert re.findall(r"^(NEWSLETTER_\w+)=", text, re.MULTILINE) == [setting.name for setting in settings_help()]
    read = dotenv_values(stream=io.StringIO(text), interpolate=False)
    assert read == {setting.name: setting.default for setting in settings_help()}


def test_the_seven_settings_that_everybody_decides_come_first() -> None:
    """The example and the page of the settings begin with what `newsletter init` asks for."""
    first = [setting.name for setting in settings_help()][: len(FIRST_SETTINGS)]
    assert first == [setting_name(key) for key in FIRST_SETTINGS] == [question.setting for question in FIRST_QUESTIONS]


def test_every_setting_has_its_sentence() -> None:
    """A description is one line that ends with a full stop, and a required setting shows how to make its value."""
    for setting in settings_help():
        assert re.fullmatch(r"[A-Z][^\n]+\.", setting.description), setting.name
        assert setting.example or setting.secret or not setting.required, setting.name
    assert sum(setting.secret for setting in settings_help()) == len(SECRETS)
