"""The questions of `newsletter init`: the seven settings that everybody decides, and what an answer makes necessary.

In: what options and the environment say. Out: values by name, in the form in which the settings understand them. Each
answer is judged as the settings would judge it. It writes nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import typer

from newsletter.cli.layout import fold_words
from newsletter.cli.machine_zone import is_zone, machine_zone
from newsletter.cli.output import TEXT_WIDTH, TEXT_WIDTH_MIN, say, sentence, terminal_width
from newsletter.core.address import domain_hint
from newsletter.errors import InputError
from newsletter.settings.loader import load_settings
from newsletter.settings.model import FILE_SUFFIX, SECRETS, Setting, normal_text, setting_name, settings_help
from newsletter.settings.values import did_you_mean, display_name, security_name
from newsletter.wording import WEEKDAYS

SENDER_SETTING = "NEWSLETTER_FROM"
NAME_SETTING = "NEWSLETTER_NAME"
ADMINS_SETTING = "NEWSLETTER_ADMIN_EMAILS"
DAY_SETTING = "NEWSLETTER_SEND_DAY"
TIME_SETTING = "NEWSLETTER_SEND_TIME"
ZONE_SETTING = "NEWSLETTER_TIME_ZONE"
HOST_SETTING = "NEWSLETTER_SMTP_HOST"
SECURITY_SETTING = "NEWSLETTER_SMTP_SECURITY"
PORT_SETTING = "NEWSLETTER_SMTP_PORT"
LOGIN_SETTING = "NEWSLETTER_SMTP_USERNAME"
PASSWORD_SETTING = "NEWSLETTER_SMTP_PASSWORD"  # noqa: S105 the name of a setting, not its value

SCHEDULE = (DAY_SETTING, TIME_SETTING, ZONE_SETTING)
"""Settings of one question: `Tue 9am Europe/Berlin`."""

PORTS = {"starttls": "587", "tls": "465", "none": "25"}
MARGIN = "  "


@dataclass(frozen=True, slots=True)
class _Question:
    setting: str
    words: str
    optional: bool = False
    hidden: bool = False


FIRST_QUESTIONS = (
    _Question(SENDER_SETTING, "Address that every mail comes from"),
    _Question(NAME_SETTING, "Name of the newsletter"),
    _Question("NEWSLETTER_POSTAL_ADDRESS", "Postal address of the sender, as the law asks for in commercial mail"),
    _Question("NEWSLETTER_BASE_URL", "Public https address of the web part, for the unsubscribe links"),
    _Question(ADMINS_SETTING, "Addresses that get alerts and reports, empty for none", optional=True),
    _Question(ZONE_SETTING, "Day, time and time zone of the mail"),
    _Question(HOST_SETTING, "Host of the mail server; your provider's page names it"),
)
SERVER_QUESTIONS = (
    _Question(SECURITY_SETTING, "Encryption: starttls, tls (ssl) or none"),
    _Question(PORT_SETTING, "Port"),
    _Question(LOGIN_SETTING, "Login, empty for none", optional=True),
    _Question(PASSWORD_SETTING, "Password (not shown)", hidden=True),
)
"""Asked when the mail server is another than the default."""


def at_terminal() -> bool:
    """Tell whether questions can be shown and answered: standard input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _secret_names() -> set[str]:
    return {setting_name(key) for key in SECRETS} | {setting_name(key) + FILE_SUFFIX for key in SECRETS}


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that stay in the environment, and that each later command needs from there."""
    return sorted(name for name in _secret_names() & environ.keys() if environ[name])


def first_answers(values: Mapping[str, str], environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return what is known without asking: options, then the environment, then this machine's zone.

    Raises `InputError` when an option cannot be used. A secret of the environment stays there: an operator who keeps it
    out of files has a reason.
    """
    names = {setting.name for setting in settings_help()} - _secret_names()
    answers = {name: environ[name].strip() for name in names if environ.get(name, "").strip()} | dict(values)
    faults = [fault for name in values for fault in faults_of(answers, home, about=name)]
    if faults:
        raise InputError("Nothing was written.", details=tuple(faults))
    if ZONE_SETTING not in answers and (zone := machine_zone(environ)):
        answers[ZONE_SETTING] = zone
    return answers


def normal_answers(answers: Mapping[str, str]) -> dict[str, str]:
    """Return answers in the form to write: `Tue` as `tuesday`, and the name in `Tips <a@b>` as a setting of its own.

    A value that the settings refuse stays as it is: they say what is wrong with it.
    """
    named = dict(answers)
    if NAME_SETTING not in named and (name := display_name(named.get(SENDER_SETTING, ""))):
        named[NAME_SETTING] = name
    return {setting: _normal(setting, text) for setting, text in named.items()}


def _normal(setting: str, text: str) -> str:
    try:
        return normal_text(setting, text)
    except ValueError:
        return text


def interview(answers: dict[str, str], *, answered: AbstractSet[str], home: Path) -> dict[str, str]:
    """Ask for everything that no option and no variable of the environment gives, proposing what is known."""
    say(folded(f"A new newsletter in {home}. Enter takes the proposal in brackets; all of it can be changed later."))
    first = [question for question in FIRST_QUESTIONS if not _is_answered(question.setting, answered)]
    for number, question in enumerate(first, start=1):
        answers |= _ask(question, answers, home, label=f"{number} of {len(first)}")
    host = answers.get(HOST_SETTING, "")
    if host not in {"", _setting(HOST_SETTING).default}:
        say(folded(f"To log in at {host}:"))
        for question in SERVER_QUESTIONS:
            needed = question.setting != PASSWORD_SETTING or LOGIN_SETTING in answers
            if needed and not _is_answered(question.setting, answered):
                answers |= _ask(question, answers, home)
    say()
    return answers


def _is_answered(setting: str, answered: AbstractSet[str]) -> bool:
    return bool(answered & {setting, setting + FILE_SUFFIX})


def _ask(question: _Question, answers: Mapping[str, str], home: Path, *, label: str = "") -> dict[str, str]:
    """Ask until the answer is one that the settings accept; say why before asking again."""
    proposal = _proposal(question.setting, answers)
    example = _setting(question.setting).example
    hint = f" [{proposal}]" if proposal else f" (such as {example})" if example else ""
    words = f"{label}: {question.words}" if label else question.words
    while True:
        answer: str = typer.prompt(
            folded(f"{words}{hint}:"),
            default=proposal,
            show_default=False,
            hide_input=question.hidden,
            prompt_suffix=" ",
        ).strip()
        if not answer and question.optional:
            return {}
        if not answer:
            say(folded("An answer is needed here."))
            continue
        values = schedule_values(answer) if question.setting == ZONE_SETTING else {question.setting: answer}
        faults = [fault for name in values for fault in faults_of({**answers, **values}, home, about=name)]
        if not faults:
            _hint_domains(answer if question.setting in {SENDER_SETTING, ADMINS_SETTING} else "")
            return values
        for fault in faults:
            # The question has the name of the setting, in words, and the example.
            words_of_fault = fault.partition(": ")[2].partition("; for example ")[0]
            say(folded(f"Not accepted: {sentence(words_of_fault)}"))


def _hint_domains(addresses: str) -> None:
    """Ask whether a common domain was meant, such as `gmail.com` for `gmial.com`; the answer stays as it is."""
    for address in addresses.replace(">", "").split(","):
        if near := domain_hint(address.strip().lower()):
            say(folded(f"{address.rpartition('@')[2].strip()}: did you mean {near}? If so, correct it in the .env."))


def folded(text: str, *, margin: str = MARGIN) -> str:
    """Return a text in lines that fit the terminal."""
    room = max(TEXT_WIDTH_MIN, min(TEXT_WIDTH, terminal_width() or TEXT_WIDTH) - len(margin))
    return "\n".join(margin + line for line in fold_words(text, room))


def _setting(name: str) -> Setting:
    return next(setting for setting in settings_help() if setting.name == name)


def _proposal(name: str, answers: Mapping[str, str]) -> str:
    if name == PASSWORD_SETTING:
        return ""
    if name == PORT_SETTING:
        usual = PORTS.get(str(security_name(answers.get(SECURITY_SETTING, ""))), _setting(PORT_SETTING).default)
        return answers.get(PORT_SETTING) or usual
    if name == ZONE_SETTING:
        return " ".join(_normal(part, answers.get(part) or _setting(part).default) for part in SCHEDULE)
    name_of_sender = display_name(answers.get(SENDER_SETTING, "")) if name == NAME_SETTING else ""
    return answers.get(name) or name_of_sender or _setting(name).default


def schedule_values(answer: str) -> dict[str, str]:
    """Sort the words of `Tue 9am Europe/Berlin`, in any order, into day, time and zone; what is left out stays."""
    values: dict[str, str] = {}
    for word in _HALF_OF_DAY.sub("", answer).replace(",", " ").split():
        name = _part_of_schedule(word)
        values[name] = f"{values[name]} {word}" if name in values else word
    return values


_HALF_OF_DAY = re.compile(r"(?<=\d) +(?=[ap]\.?m\b)", re.IGNORECASE)
"""The blank in `9 am`."""


def _part_of_schedule(word: str) -> str:
    if word[0].isdigit():
        return TIME_SETTING
    if is_zone(word):
        return ZONE_SETTING
    return DAY_SETTING if "/" not in word and (_is_day(word) or did_you_mean(word, WEEKDAYS)) else ZONE_SETTING


def _is_day(word: str) -> bool:
    try:
        normal_text(DAY_SETTING, word)
    except ValueError:
        return False
    return True


def faults_of(answers: Mapping[str, str], home: Path, *, about: str) -> list[str]:
    """Return what the settings would say against these answers, as far as it concerns one of them."""
    # A contradiction between two settings is told under one of their names, which may be the other one.
    concerned = {about, SECURITY_SETTING} if about == PORT_SETTING else {about}
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
        missing[PASSWORD_SETTING] = "stand-in"
    return missing


_NO_PASSWORD = f"{LOGIN_SETTING}: has no password"


def _mistakes(environ: Mapping[str, str], home: Path) -> tuple[str, ...]:
    try:
        load_settings(environ, home)
    except InputError as error:
        return error.details
    return ()
