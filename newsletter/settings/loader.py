"""Reading the settings: once, from the environment and the `.env` of the home folder; all mistakes reported together.

In: the environment as a mapping and the home folder. Out: one frozen `Settings`, or one `InputError` with a line per
mistake. The process environment is never changed, a secret is never printed, and nothing is read at import.
"""

from __future__ import annotations

import io
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ValidationError

from newsletter.errors import InputError, words_of
from newsletter.settings.model import (
    FILE_SUFFIX,
    KEY_COMMAND,
    SECRETS,
    SETTING_PREFIX,
    Settings,
    as_written,
    example_of,
    setting_fields,
    setting_name,
)
from newsletter.settings.values import SECRET_LENGTH_MIN, did_you_mean, display_name, is_aligned, is_loopback
from newsletter.wording import plural

__all__ = ["Settings", "load_settings", "setting_sources"]

HOME_NAME = f"{SETTING_PREFIX}HOME"
"""Names the folder of the `.env`, so it cannot stand in it: known, and not a setting."""

PATHS = (
    "smtp_ca_file",
    "fallback_smtp_ca_file",
    "imap_ca_file",
    "dkim_key_file",
    "dkim_ed25519_key_file",
    "templates_dir",
    "journal_dir",
    "state_dir",
)
STATE_DIR_WITHOUT_HOME = Path("/var/lib/newsletter-state")
IMPLICIT_TLS_PORT = 465
LINE_LENGTH = 400


def load_settings(environ: Mapping[str, str], home: Path) -> Settings:
    """Read the settings from the environment and `home/.env`, where the environment wins.

    An empty value counts as unset. Relative paths are taken from `home`. Raises one `InputError` whose `details` hold a
    line for each mistake: the name, what is wrong, and what to do.
    """
    mistakes: list[str] = []
    home = home.absolute()
    env_file = home / ".env"
    values = _gather(environ, env_file, mistakes)
    values.setdefault("state_dir", str(_state_dir(environ, home)))
    settings = _validate(_resolve(values, home), mistakes)
    if mistakes:
        count = _count(mistakes)
        where = (
            f"correct {env_file} or the environment" if env_file.is_file() else f"`newsletter init` writes {env_file}"
        )
        message = f"{count}; {where}"
        raise InputError(message, details=tuple(map(_printable, mistakes)))
    return settings


def setting_sources(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the source of each setting that is not at its default, by key: `environment`, `.env`, or `file`.

    The mistakes of both sources are left to `load_settings`.
    """
    sources: dict[str, str] = {}
    for name in _overlay(_read_env_file(home.absolute() / ".env", []), environ, []):
        key = name.removeprefix(SETTING_PREFIX).lower()
        if key in setting_fields():
            sources[key] = "environment" if environ.get(name, "").strip() else ".env"
        else:
            sources[key.removesuffix(FILE_SUFFIX.lower())] = "file"
    return sources


def _count(mistakes: Sequence[str]) -> str:
    """Return how many settings are missing and how many are wrong, as words."""
    missing = sum(": is missing" in line for line in mistakes)
    counts = {"missing": missing, "wrong": len(mistakes) - missing}
    first, *rest = ((count, kind) for kind, count in counts.items() if count)
    words = plural(first[0], f"setting is {first[1]}", f"settings are {first[1]}")
    return "".join([words, *(f" and {plural(count, 'is', 'are')} {kind}" for count, kind in rest)])


def _printable(line: str) -> str:
    """Return one line of a bearable length, whatever the value that it quotes."""
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
    return text if len(text) <= LINE_LENGTH else f"{text[: LINE_LENGTH // 2]} … {text[-LINE_LENGTH // 2 :]}"


def _gather(environ: Mapping[str, str], env_file: Path, mistakes: list[str]) -> dict[str, str]:
    """Return the text of each setting by key: the file's, and over it the environment's."""
    values: dict[str, str] = {}
    for name, value in _overlay(_read_env_file(env_file, mistakes), environ, mistakes).items():
        key = name.removeprefix(SETTING_PREFIX).lower()
        secret = key.removesuffix(FILE_SUFFIX.lower())
        if name == setting_name(key) and key in setting_fields():
            values[key] = value
        elif name == setting_name(key) and key != secret and secret in SECRETS:
            values |= _read_secret(secret, env_file.parent / value, mistakes)
        elif name != HOME_NAME:
            known = (*map(str.upper, setting_fields()), *(secret.upper() + FILE_SUFFIX for secret in SECRETS))
            near = did_you_mean(name[len(SETTING_PREFIX) :], known, prefix=SETTING_PREFIX)
            mistakes.append(f"{name}: is not a setting{near or '; remove it'}")
    return values


def _overlay(below: Mapping[str, str], above: Mapping[str, str], mistakes: list[str]) -> dict[str, str]:
    """Return our names of both sources; a name given above replaces both its forms, itself and `NAME_FILE`, below."""
    merged: dict[str, str] = {}
    for source in (below, above):
        values = {
            name: value for name, value in source.items() if name.upper().startswith(SETTING_PREFIX) and value.strip()
        }
        for secret in map(setting_name, SECRETS):
            forms = {secret, secret + FILE_SUFFIX}
            if forms <= values.keys():
                mistakes.append(f"{secret}: is set, and {secret}{FILE_SUFFIX} too; remove one of them")
                del values[secret + FILE_SUFFIX]
            if forms & values.keys():
                merged = {name: value for name, value in merged.items() if name not in forms}
        merged |= values
    return merged


def _read_env_file(env_file: Path, mistakes: list[str]) -> dict[str, str]:
    try:
        text = env_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{env_file}: cannot be read ({words_of(error)}); make it a UTF-8 text file this user may read")
        return {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            line = binding.original.line
            mistakes.append(f"{env_file}, line {line}: is not NAME=value; correct the line or begin it with #")
    # Without interpolation, so that a password may hold ${ and nothing reads the process environment.
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def _read_secret(key: str, path: Path, mistakes: list[str]) -> dict[str, str]:
    name = setting_name(key) + FILE_SUFFIX
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        mistakes.append(f"{name}: {path} cannot be read; name a UTF-8 text file this user may read")
        return {key: _stand_in(key)}
    if not text:
        mistakes.append(f"{name}: {path} is empty; write the secret into it")
        return {key: _stand_in(key)}
    return {key: text}


def _state_dir(environ: Mapping[str, str], home: Path) -> Path:
    """Return the user's folder for state, outside the folder of the newsletter, which people copy as a whole.

    The account's home and not $HOME: the service and a command under sudo must come to the same folder.
    """
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"]) / "newsletter"
    try:
        account = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return STATE_DIR_WITHOUT_HOME
    if account.resolve().is_relative_to(home.resolve()) or not os.access(account, os.W_OK):
        return STATE_DIR_WITHOUT_HOME
    return account / ".local/state/newsletter"


def _resolve(values: Mapping[str, str], home: Path) -> dict[str, str]:
    defaults = {"journal_dir": as_written(setting_fields()["journal_dir"].default)}
    resolved = {
        key: str(home / Path(value).expanduser()) if key in PATHS else value
        for key, value in (defaults | dict(values)).items()
    }
    if "name" not in resolved and (name := display_name(resolved.get("from", ""))):
        resolved["name"] = name
    url = resolved.setdefault("database_url", as_written(setting_fields()["database_url"].default))
    scheme, slashes, path = url.partition(":///")
    if scheme == "sqlite" and slashes and path and not path.startswith((":memory:", "?")):
        resolved["database_url"] = f"sqlite:///{home / path}"
    return resolved


def _stand_in(key: str) -> str:
    """Return a right value in place of a wrong one that was reported, so that the rest can still be judged."""
    field = setting_fields()[key]
    default = "" if field.is_required() else as_written(field.default)
    return example_of(field) or default or "x" * SECRET_LENGTH_MIN


def _validate(values: Mapping[str, str], mistakes: list[str]) -> Settings:
    """Return the settings; when some are wrong, with stand-ins for these, so that contradictions are found too."""
    wrong: set[str] = set()
    try:
        settings = _build(values)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            key = str(fault["loc"][0])
            wrong.add(key)
            mistakes.append(
                f"{setting_name(key)}: {_sentence(key, fault['type'], fault.get('ctx', {}), values.get(key))}"
            )
        good = {key: value for key, value in values.items() if key not in wrong}
        settings = _build(good | {key: _stand_in(key) for key in wrong if setting_fields()[key].is_required()})
    for keys, contradiction in _contradictions(settings):
        if wrong.isdisjoint(keys):
            mistakes.append(contradiction)
    return settings


def _build(values: Mapping[str, Any]) -> Settings:
    return Settings(**values)


def _sentence(key: str, kind: str, context: Mapping[str, Any], value: str | None) -> str:
    """Say what is wrong with one value and what to do, without repeating a secret."""
    example = example_of(setting_fields()[key])
    hint = f"; for example {setting_name(key)}='{example}'" if example else ""
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
    yield from _of_signing(settings)
    yield from _of_mailbox(settings)
    yield from _of_server(settings, "")
    if settings.fallback_smtp_host:
        yield from _of_server(settings, "fallback_")
    elif settings.fallback_smtp_username or settings.fallback_smtp_password:
        key = "fallback_smtp_username" if settings.fallback_smtp_username else "fallback_smtp_password"
        line = f"{setting_name(key)}: there is no second mail server; set NEWSLETTER_FALLBACK_SMTP_HOST as well"
        yield {key, "fallback_smtp_host"}, line


def _of_signing(settings: Settings) -> Iterator[tuple[set[str], str]]:
    """Yield what would make signatures that cannot be verified, or that are for a domain no reader sees."""
    for kind in ("dkim", "dkim_ed25519"):
        selector, key = f"{kind}_selector", f"{kind}_key_file"
        if bool(getattr(settings, selector)) != bool(getattr(settings, key)):
            have, lack = (selector, key) if getattr(settings, selector) else (key, selector)
            line = f"{setting_name(have)}: needs {setting_name(lack)} as well; `newsletter dkim keygen` tells both"
            yield {selector, key}, line
    if settings.dkim_ed25519_key_file and settings.dkim_ed25519_selector and not settings.dkim_key_file:
        line = "NEWSLETTER_DKIM_ED25519_KEY_FILE: many cannot verify Ed25519; set NEWSLETTER_DKIM_KEY_FILE as well"
        yield {"dkim_key_file", "dkim_selector", "dkim_ed25519_key_file"}, line
    if settings.dkim_selector and settings.dkim_selector == settings.dkim_ed25519_selector:
        line = "NEWSLETTER_DKIM_ED25519_SELECTOR: is that of the RSA key; each key is published under a name of its own"
        yield {"dkim_selector", "dkim_ed25519_selector"}, line
    if settings.dkim_domain and not is_aligned(settings.dkim_domain, settings.from_email.rpartition("@")[2]):
        line = (
            f"NEWSLETTER_DKIM_DOMAIN: {settings.dkim_domain} has nothing to do with {settings.from_email}; "
            "write the domain behind its @, or the one above that"
        )
        yield {"dkim_domain", "from"}, line


def _of_mailbox(settings: Settings) -> Iterator[tuple[set[str], str]]:
    """Yield what cannot both be meant of the mailbox for bounces."""
    if not settings.imap_host:
        return
    if not settings.imap_username:
        yield {"imap_host", "imap_username"}, "NEWSLETTER_IMAP_USERNAME: is missing; write the login of the mailbox"
    elif bool(settings.imap_password) == bool(settings.imap_token_command):
        line = "NEWSLETTER_IMAP_USERNAME: needs NEWSLETTER_IMAP_PASSWORD or NEWSLETTER_IMAP_TOKEN_COMMAND, one of them"
        yield {"imap_username", "imap_password", "imap_token_command"}, line
    if settings.imap_security == "none" and not is_loopback(settings.imap_host):
        line = "NEWSLETTER_IMAP_SECURITY: none would send the password in clear text; use tls or starttls"
        yield {"imap_security", "imap_host"}, line
    folders = [settings.imap_folder, settings.imap_read_folder, settings.imap_unknown_folder]
    if len(set(folders)) < len(folders) or not all(folder.isascii() and folder for folder in folders):
        line = "NEWSLETTER_IMAP_FOLDER: the three folders must differ, and have names of ASCII letters"
        yield {"imap_folder", "imap_read_folder", "imap_unknown_folder"}, line


def _of_server(settings: Settings, prefix: str) -> Iterator[tuple[set[str], str]]:
    """Yield what cannot both be meant of one mail server; `which` is what its settings begin with."""
    host, port, security, username, password = (
        f"{prefix}smtp_{key}" for key in ("host", "port", "security", "username", "password")
    )
    values = {key: getattr(settings, key) for key in (host, port, security, username, password)}
    token = f"{prefix}smtp_token_command"
    command = getattr(settings, token, "")
    if values[username] and not (values[password] or command):
        line = f"{setting_name(username)}: has no password; set {setting_name(password)} as well, or neither"
        yield {username, password}, line
    for secret in (password, token):
        if getattr(settings, secret, "") and not values[username]:
            line = f"{setting_name(secret)}: has no login; set {setting_name(username)} as well, or neither"
            yield {secret, username}, line
    if command and values[password]:
        line = f"{setting_name(token)}: its token takes the place of {setting_name(password)}; remove one of them"
        yield {token, password}, line
    if values[security] == "none" and not (settings.smtp_allow_plaintext or is_loopback(values[host])):
        line = (
            f"{setting_name(security)}: none would send mails and password in clear text to another machine; "
            "use starttls or tls, or set NEWSLETTER_SMTP_ALLOW_PLAINTEXT=true"
        )
        yield {security, "smtp_allow_plaintext", host}, line
    if values[security] == "starttls" and values[port] == IMPLICIT_TLS_PORT:
        line = f"{setting_name(security)}: port 465 is encrypted from the first byte; set it to tls, or use port 587"
        yield {security, port}, line
