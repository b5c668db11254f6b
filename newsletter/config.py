"""Settings: read once, from the environment and the `.env` of the home folder; every mistake is reported together.

In: the environment as a mapping and the home folder. Out: one frozen `Settings`, or one `InputError` with a line per
mistake. The process environment is never changed, a secret is never printed, and nothing is read at import.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from newsletter.errors import InputError
from newsletter.setting_values import (
    BaseUrl,
    ClockTime,
    DatabaseUrl,
    Email,
    ExistingFile,
    ExistingFolder,
    Host,
    Language,
    Line,
    Lines,
    Link,
    LongSecret,
    LongSecrets,
    MailDomain,
    Weekday,
    Zone,
    did_you_mean,
    is_loopback,
)

PREFIX = "NEWSLETTER_"
HOME_NAME = f"{PREFIX}HOME"
"""Names the folder of the `.env`, so it cannot stand in it: known, and not a setting."""

FILE_SUFFIX = "_FILE"
SECRETS = ("secret_key", "secret_keys_old", "smtp_password", "database_url")
"""Keys that may also be given as `NAME_FILE`, a file that holds the value, as containers hand out secrets."""

PATHS = ("smtp_ca_file", "templates_dir")
IMPLICIT_TLS_PORT = 465
KEY_COMMAND = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'


class Settings(BaseSettings):
    """Everything an operator decides. A field is the setting's name in lower case, without `NEWSLETTER_`."""

    # An unset default such as "" is no value of its kind, so defaults are not validated here; a test does it.
    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True, validate_default=False
    )

    name: Line = Field("Tip of the Week", description="The name of the newsletter, as every mail shows it.")
    from_email: Email = Field(
        alias="from", description="The address every mail comes from.", examples=["tips@example.com"]
    )
    reply_to: Email = Field("", description="A mailbox that somebody reads; unset, replies go to NEWSLETTER_FROM.")
    postal_address: Lines = Field(
        description="The sender's postal address, which commercial mail must bear; \\n begins a new line.",
        examples=["Example Society, 1 Example Street, Springfield"],
    )
    base_url: BaseUrl = Field(
        description="The public https address of the web part, which the unsubscribe links point to.",
        examples=["https://news.example.com"],
    )
    language: Language = Field("en", description="The language of the mails, as a tag such as en or pt-BR.")

    secret_key: LongSecret = Field(
        description="Signs the unsubscribe links: at least 32 random characters, kept for as long as mails are kept.",
    )
    secret_keys_old: LongSecrets = Field(
        (), description="Earlier secret keys, separated by commas, so that links in old mails keep working."
    )
    database_url: DatabaseUrl = Field(
        SecretStr("sqlite:///data/newsletter.db"),
        description="The database: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME with the postgres extra.",
    )

    send_day: Weekday = Field("tuesday", description="The weekday of the weekly tip.")
    send_time: ClockTime = Field(time(9), description="The time of day it goes out, on the clock of the time zone.")
    time_zone: Zone = Field("America/New_York", description="The IANA time zone in which day and time are meant.")
    grace_hours: int = Field(
        36, ge=1, le=167, description="How many hours late a slot may still be sent after the machine was down."
    )
    low_stock_weeks: int = Field(
        4, ge=0, le=520, description="The forecast warns when approved tips last for fewer weeks than this."
    )
    evergreen_rest_weeks: int = Field(
        52, ge=0, le=520, description="How many weeks an evergreen tip rests before it may be sent again."
    )
    expire_hours: int = Field(
        72, ge=1, le=167, description="How many hours after the first try a delayed delivery is given up."
    )

    smtp_host: Host = Field("localhost", description="The mail server that takes the mails.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port: 587 for starttls, 465 for tls.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is encrypted: starttls, tls or none."
    )
    smtp_allow_plaintext: bool = Field(
        default=False, description="Allow NEWSLETTER_SMTP_SECURITY=none to a server that is not this machine."
    )
    smtp_ca_file: ExistingFile | None = Field(
        None, description="A PEM file with your own certificate authority, if the server's certificate needs it."
    )
    smtp_username: Line = Field("", description="The login at the mail server; unset, no login.")
    smtp_password: SecretStr | None = Field(None, description="The password of that login.")
    smtp_connections: int = Field(4, ge=1, le=50, description="How many connections are used at the same time.")
    smtp_timeout_seconds: int = Field(
        60, ge=1, le=3600, description="How long a reply may take; the one to a whole message gets at least 600 s."
    )
    smtp_ehlo_name: MailDomain = Field("", description="The name this machine gives in EHLO; unset, its own full name.")
    rate_per_second: int = Field(0, ge=0, description="At most this many mails a second; 0 is no limit.")
    rate_per_hour: int = Field(0, ge=0, description="At most this many mails in any hour; 0 is no limit.")
    rate_per_day: int = Field(0, ge=0, description="At most this many mails in any 24 hours; 0 is no limit.")
    uncertain: Literal["hold", "retry"] = Field(
        "hold",
        description="A mail that may or may not have gone out: hold it for a person's decision, or retry it.",
    )
    bounce_domain: MailDomain = Field(
        "", description="A domain of your own for bounces; each mail then has its own return address there."
    )
    cfbl_address: Email = Field("", description="A mailbox for complaint reports (RFC 9477).")

    archive_url: Link = Field("", description="Footer link to past tips; left out of the mail when unset.")
    signup_url: Link = Field("", description="Footer link to the sign-up page; left out of the mail when unset.")
    contact_url: Link = Field("", description="Footer link to a contact page; left out of the mail when unset.")
    resources_url: Link = Field("", description="Footer link to further resources; left out of the mail when unset.")
    home_url: Link = Field("", description="Footer link to the home page; left out of the mail when unset.")
    templates_dir: ExistingFolder | None = Field(
        None, description="A folder of your own templates, which replace the shipped ones file by file."
    )

    web_host: Host = Field("127.0.0.1", description="The address the web part listens on.")
    web_port: int = Field(8080, ge=1, le=65535, description="The port the web part listens on.")
    log_format: Literal["text", "json"] = Field("text", description="How log lines are written: text or json.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is given by pydantic-settings
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the caller only, so that nothing reads the process environment behind its back."""
        return (init_settings,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as the documentation shows it."""

    name: str
    """With the prefix, such as `NEWSLETTER_SMTP_PORT`."""
    default: str
    """As an operator would write it; empty when it has none."""
    description: str
    required: bool
    example: str
    """What a required setting may look like; empty for a secret."""
    secret: bool
    """May also be given as `NAME_FILE`."""


def settings_help() -> tuple[Setting, ...]:
    """Return every setting in the order of the fields."""
    return tuple(
        Setting(
            name=_name(key),
            default=_text(field.default) if not field.is_required() else "",
            description=field.description or "",
            required=field.is_required(),
            example=_example(field),
            secret=key in SECRETS,
        )
        for key, field in _fields().items()
    )


def example_env() -> str:
    """Return the text of `config.example.env`: defaults commented out, required settings open and empty."""
    head = (
        "# Settings of the newsletter. Copy this file to .env and fill in what is required; the environment beats it.\n"
        "# A line that is commented out shows the default. Put single quotes around a value that has a # or a space.\n"
    )
    return head + "".join(f"\n{_entry(setting)}\n" for setting in settings_help())


def load_settings(environ: Mapping[str, str], home: Path) -> Settings:
    """Read the settings from the environment and `home/.env`, where the environment wins.

    An empty value counts as unset. Relative paths are taken from `home`. Raises one `InputError` whose `details` hold a
    line for each mistake: the name, what is wrong, and what to do.
    """
    mistakes: list[str] = []
    home = home.absolute()
    env_file = home / ".env"
    values = _gather(environ, env_file, mistakes)
    settings = _validate(_resolve(values, home), mistakes)
    if mistakes:
        count = "1 setting is wrong" if len(mistakes) == 1 else f"{len(mistakes)} settings are wrong"
        where = (
            f"correct {env_file} or the environment" if env_file.is_file() else f"`newsletter init` writes {env_file}"
        )
        message = f"{count}; {where}"
        raise InputError(message, details=tuple(mistakes))
    return settings


def _fields() -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in Settings.model_fields.items()}


def _name(key: str) -> str:
    return PREFIX + key.upper()


def _example(field: FieldInfo) -> str:
    return str(field.examples[0]) if field.examples else ""


def _text(default: object) -> str:
    match default:
        case None | ():
            return ""
        case SecretStr():
            return default.get_secret_value()
        case time():
            return default.isoformat("minutes")
        case bool():
            return str(default).lower()
        case _:
            return str(default)


def _entry(setting: Setting) -> str:
    quoted = f"'{setting.default}'" if " " in setting.default else setting.default
    lines = [f"# {setting.description}"]
    if setting.secret:
        lines.append(f"# Or {setting.name}{FILE_SUFFIX}, a file that holds it.")
    if setting.required:
        lines.append(
            f"# Required; for example: '{setting.example}'"
            if setting.example
            else f"# Required; make one with {KEY_COMMAND}"
        )
    lines.append(f"{setting.name}=" if setting.required else f"# {setting.name}={quoted}")
    return "\n".join(lines)


def _gather(environ: Mapping[str, str], env_file: Path, mistakes: list[str]) -> dict[str, str]:
    """Return the text of each setting by key: the file's, then over it the environment's."""
    fields = _fields()
    found: dict[str, str] = {}
    for source in (_read_env_file(env_file, mistakes), environ):
        given = {name: value for name, value in source.items() if name.upper().startswith(PREFIX) and value.strip()}
        for name, value in given.items():
            key = name.removeprefix(PREFIX).lower()
            secret = key.removesuffix(FILE_SUFFIX.lower())
            if name == _name(key) and key in fields:
                found[key] = value
            elif name == _name(key) and key != secret and secret in SECRETS:
                found.pop(secret, None)
                if _name(secret) in given:
                    mistakes.append(f"{_name(secret)}: is set, and {name} too; remove one of them")
                elif (text := _read_secret(name, env_file.parent / value, mistakes)) is not None:
                    found[secret] = text
            elif name != HOME_NAME:
                known = (*map(_name, fields), *(_name(key) + FILE_SUFFIX for key in SECRETS))
                mistakes.append(f"{name}: is not a setting{did_you_mean(name, known) or '; remove it'}")
    return found


def _read_env_file(env_file: Path, mistakes: list[str]) -> dict[str, str]:
    try:
        # Editors on other systems may put a byte order mark first, which would become part of the first name.
        text = env_file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{env_file}: cannot be read ({error}); make it a UTF-8 text file this user may read")
        return {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            line = binding.original.line
            mistakes.append(f"{env_file}, line {line}: is not NAME=value; correct the line or begin it with #")
    # Without interpolation, so that a password may hold ${ and nothing reads the process environment.
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def _read_secret(name: str, path: Path, mistakes: list[str]) -> str | None:
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        mistakes.append(f"{name}: {path} cannot be read; name a UTF-8 text file this user may read")
        return None
    if not text:
        mistakes.append(f"{name}: {path} is empty; write the secret into it")
        return None
    return text


def _resolve(values: Mapping[str, str], home: Path) -> dict[str, str]:
    resolved = {key: str(home / value) if key in PATHS else value for key, value in values.items()}
    url = resolved.setdefault("database_url", _text(_fields()["database_url"].default))
    scheme, slashes, path = url.partition(":///")
    if scheme == "sqlite" and slashes and path and not path.startswith((":memory:", "?")):
        resolved["database_url"] = f"sqlite:///{home / path}"
    return resolved


def _validate(values: Mapping[str, str], mistakes: list[str]) -> Settings:
    """Return the settings, or stand-ins for what is wrong, so that contradictions among the rest are found too."""
    stand_ins: dict[str, str] = {}
    try:
        settings = _build(values)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            key = str(fault["loc"][0])
            stand_ins[key] = _example(_fields()[key]) or "x" * 32
            mistakes.append(f"{_name(key)}: {_sentence(key, fault['type'], fault.get('ctx', {}), values.get(key))}")
        good = {key: value for key, value in values.items() if key not in stand_ins}
        required = {key: text for key, text in stand_ins.items() if _fields()[key].is_required()}
        settings = _build(good | required)
    for keys, contradiction in _contradictions(settings):
        if stand_ins.keys().isdisjoint(keys):
            mistakes.append(contradiction)
    return settings


def _build(values: Mapping[str, Any]) -> Settings:
    return Settings(**values)


def _sentence(key: str, kind: str, context: Mapping[str, Any], value: str | None) -> str:
    """Say what is wrong with one value and what to do, without repeating a secret."""
    example = _example(_fields()[key])
    hint = f"; for example {_name(key)}='{example}'" if example else ""
    if kind == "value_error":
        return f"{context['error']}{hint}"
    sentences = {
        "missing": f"is missing{hint or f'; make one with {KEY_COMMAND}'}",
        "greater_than_equal": f"{value} is too small; write {context.get('ge')} or more",
        "less_than_equal": f"{value} is too large; write {context.get('le')} or less",
        "literal_error": f"'{value}' is not a choice; write {context.get('expected')}",
        "bool_parsing": f"'{value}' is neither yes nor no; write true or false",
    }
    return sentences.get(kind, f"'{value}' is not a whole number; write digits only")


def _contradictions(settings: Settings) -> Iterator[tuple[set[str], str]]:
    """Yield each pair of settings that cannot both be meant: the keys concerned, and the line about them."""
    user, password = bool(settings.smtp_username), settings.smtp_password is not None
    if user and not password:
        line = "NEWSLETTER_SMTP_USERNAME: has no password; set NEWSLETTER_SMTP_PASSWORD as well, or neither"
        yield {"smtp_username", "smtp_password"}, line
    if password and not user:
        line = "NEWSLETTER_SMTP_PASSWORD: has no login; set NEWSLETTER_SMTP_USERNAME as well, or neither"
        yield {"smtp_username", "smtp_password"}, line
    if settings.smtp_security == "none" and not (settings.smtp_allow_plaintext or is_loopback(settings.smtp_host)):
        line = (
            "NEWSLETTER_SMTP_SECURITY: none would send mails and password in clear text to another machine; "
            "use starttls or tls, or set NEWSLETTER_SMTP_ALLOW_PLAINTEXT=true"
        )
        yield {"smtp_security", "smtp_allow_plaintext", "smtp_host"}, line
    if settings.smtp_security == "starttls" and settings.smtp_port == IMPLICIT_TLS_PORT:
        line = "NEWSLETTER_SMTP_SECURITY: port 465 is encrypted from the first byte; set it to tls, or use port 587"
        yield {"smtp_security", "smtp_port"}, line
