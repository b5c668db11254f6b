"""The questions of `newsletter init`: one setting at a time, each answer judged as the settings would judge it.

In: what options and the environment say. Out: values by name. It writes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import typer

from newsletter.cli.output import say
from newsletter.errors import InputError
from newsletter.settings.loader import load_settings
from newsletter.settings.model import FILE_SUFFIX, SECRETS, Setting, setting_name, settings_help
from newsletter.settings.values import security_name

ZONE_QUESTION = "NEWSLETTER_TIME_ZONE"
SECURITY = "NEWSLETTER_SMTP_SECURITY"
PORT = "NEWSLETTER_SMTP_PORT"
LOGIN = "NEWSLETTER_SMTP_USERNAME"
PASSWORD = "NEWSLETTER_SMTP_PASSWORD"  # noqa: S105 the name of a setting, not its value

PORTS = {"starttls": "587", "tls": "465", "none": "25"}


@dataclass(frozen=True, slots=True)
class _Question:
    setting: str
    words: str
    group: str = ""
    """Said once before it."""
    optional: bool = False
    hidden: bool = False


_QUESTIONS = (
    _Question("NEWSLETTER_NAME", "Name of the newsletter"),
    _Question("NEWSLETTER_FROM", "Address every mail comes from"),
    _Question("NEWSLETTER_POSTAL_ADDRESS", "Postal address of the sender, as the law asks for in commercial mail"),
    _Question("NEWSLETTER_BASE_URL", "Public https address of the web part, for the unsubscribe links"),
    _Question("NEWSLETTER_ADMIN_EMAILS", "Addresses that get alerts and reports, empty for none", optional=True),
    _Question(ZONE_QUESTION, "Time zone", "When it goes out:"),
    _Question("NEWSLETTER_SEND_DAY", "Day of the week"),
    _Question("NEWSLETTER_SEND_TIME", "Time of day"),
    _Question("NEWSLETTER_SMTP_HOST", "Host", "The mail server that takes the mails (your provider's page names it):"),
    _Question(SECURITY, "Encryption: starttls, tls (ssl) or none"),
    _Question(PORT, "Port"),
    _Question(LOGIN, "Login, empty for none", optional=True),
    _Question(PASSWORD, "Password (not shown)", hidden=True),
)


def at_terminal() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def first_answers(values: Mapping[str, str], environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return what is known without asking: options, then the environment, then this machine's zone.

    Raises `InputError` when an option cannot be used. A secret of the environment stays there: whoever keeps it out of
    files has a reason.
    """
    secret = {setting_name(key) for key in SECRETS} | {setting_name(key) + FILE_SUFFIX for key in SECRETS}
    names = {setting.name for setting in settings_help()} - secret
    answers = {name: environ[name].strip() for name in names if environ.get(name, "").strip()} | dict(values)
    faults = [fault for name in values for fault in faults_of(answers, home, about=name)]
    if faults:
        raise InputError("Nothing was written.", details=tuple(faults))
    if ZONE_QUESTION not in answers and (zone := machine_zone(environ)):
        answers[ZONE_QUESTION] = zone
    return answers


def interview(answers: dict[str, str], *, answered: AbstractSet[str], home: Path) -> dict[str, str]:
    """Ask for everything that no option and no variable of the environment gives, proposing what is known."""
    settings = {setting.name: setting for setting in settings_help()}
    say(f"A new newsletter in {home}. Enter takes the proposal in brackets; all of it can be changed later.")
    open_questions = [item for item in _QUESTIONS if not answered & {item.setting, item.setting + FILE_SUFFIX}]
    for number, question in enumerate(open_questions, start=1):
        if question.setting == PASSWORD and LOGIN not in answers:
            continue
        if question.group:
            say()
            say(question.group)
        step = f"{number} of {len(open_questions)}"
        answer = _ask(question, settings[question.setting], answers, home, step=step)
        if answer:
            answers[question.setting] = answer
    say()
    return answers


def _ask(question: _Question, setting: Setting, answers: Mapping[str, str], home: Path, *, step: str) -> str:
    """Ask until the answer is one that the settings accept; say why before asking again."""
    proposal = answers.get(question.setting) or _proposal(setting, answers)
    while True:
        example = f" (such as {setting.example})" if setting.example and not proposal else ""
        answer: str = typer.prompt(
            f"  {step}: {question.words}{example}",
            default=proposal,
            show_default=bool(proposal),
            hide_input=question.hidden,
        ).strip()
        if not answer and question.optional:
            return ""
        faults = faults_of({**answers, question.setting: answer}, home, about=question.setting) if answer else []
        if answer and not faults:
            return answer
        for fault in faults or ["This one is needed."]:
            say(f"  Not accepted: {fault.removeprefix(f'{question.setting}: ')}")


def _proposal(setting: Setting, answers: Mapping[str, str]) -> str:
    if setting.name == PORT:
        return PORTS.get(str(security_name(answers.get(SECURITY, ""))), setting.default)
    return setting.default


def faults_of(answers: Mapping[str, str], home: Path, *, about: str) -> list[str]:
    """Return what the settings would say against these answers, as far as it concerns one of them."""
    # A contradiction between two settings is told under one of their names, which may be the other one.
    concerned = {about, SECURITY} if about == PORT else {about}
    # A login comes before its password.
    return [
        line
        for line in _mistakes(answers, home)
        if line.partition(":")[0] in concerned and not line.startswith(_NO_PASSWORD)
    ]


def missing_settings(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return what must still be filled in, each with a stand-in; the secret key is not among it."""
    mistakes = _mistakes(environ, home)
    missing = {
        setting.name: setting.example
        for setting in settings_help()
        if setting.example and any(line.startswith(f"{setting.name}: is missing") for line in mistakes)
    }
    if any(line.startswith(_NO_PASSWORD) for line in mistakes):
        missing[PASSWORD] = "stand-in"
    return missing


_NO_PASSWORD = f"{LOGIN}: has no password"


def _mistakes(environ: Mapping[str, str], home: Path) -> tuple[str, ...]:
    try:
        load_settings(environ, home)
    except InputError as error:
        return error.details
    return ()


def machine_zone(environ: Mapping[str, str]) -> str:
    """Return the IANA name of this machine's zone, or nothing when it is told in no way we know."""
    for zone in (environ.get("TZ", "").lstrip(":"), _zone_of_link(), _zone_of_file()):
        if zone and not faults_of({ZONE_QUESTION: zone}, Path("/nowhere"), about=ZONE_QUESTION):
            return zone
    return ""


def _zone_of_link() -> str:
    parts = Path("/etc/localtime").resolve().parts
    return "/".join(parts[parts.index("zoneinfo") + 1 :]) if "zoneinfo" in parts else ""


def _zone_of_file() -> str:
    try:
        return Path("/etc/timezone").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
