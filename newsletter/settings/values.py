"""The kinds of value a setting may have: an address, a public URL, a zone, a weekday, a secret.

In: the text an operator wrote. Out: the value in its one normal form, or a `ValueError` in plain words.
A check here never sees another setting, never opens a connection, and never repeats a secret in its message.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable
from datetime import time
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, SecretStr

from newsletter.color import MAIL_BACKGROUND, TEXT_CONTRAST_MIN, contrast
from newsletter.wording import WEEKDAYS

SECRET_LENGTH_MIN = 32
_TOPIC = re.compile(r"arn:aws(-cn|-us-gov)?:sns:[a-z0-9-]{1,40}:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
SELECTOR_LENGTH_MAX = 63
"""A longer one would leave too little room for the domain in a name of DNS."""
DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")

PLAIN_ADDRESS = re.compile(r"[a-z0-9]+([._+-][a-z0-9]+)*@([a-z0-9]+(-[a-z0-9]+)*\.)+(com|net|org|[a-z]{2})")
"""Most addresses of settings. `email_validator` takes these as they are; its import takes 20 ms of each command."""
PLAIN_ADDRESS_LENGTH_MAX = 63
"""The longest label of a domain (RFC 1035 §2.3.4): no part of so short an address can be too long."""
_SELECTOR_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_PLACE = re.compile(r"\{(\w*)\}")
_COLOR = re.compile(r"[0-9a-f]{3}|[0-9a-f]{6}")
_CLOCK_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_HALF_DAY_TIME = re.compile(r"(0?[1-9]|1[0-2])(?::([0-9]{2}))? ?([ap])\.?m\.?", re.IGNORECASE)
_HALF_DAY_HOURS = 12
_WEEKDAY_LETTERS_MIN = 3
_SECURITY_ALIASES = {"ssl": "tls", "ssl/tls": "tls", "tls/ssl": "tls"}
"""Names that mail programs use for TLS from the first byte (RFC 8314)."""


def did_you_mean(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """Return `; did you mean X?` for the nearest choice, or nothing when none is near."""
    by_fold = {choice.casefold(): choice for choice in choices}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1)
    return f"; did you mean {prefix}{by_fold[near[0]]}?" if near else ""


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, so that nothing sent to it crosses a network."""
    bare = host.strip("[]").rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def is_aligned(signer: str, sender: str) -> bool:
    """Tell whether the DKIM signature of one domain speaks for a sender in another: equal, or one holds the other.

    DMARC (RFC 9989) compares organisational domains, which only DNS can tell. This rule needs no network, refuses two
    siblings, and takes `co.uk` for an organisation.
    """
    signer, sender = signer.lower(), sender.lower()
    inner, outer = (signer, sender) if len(signer) > len(sender) else (sender, signer)
    return "." in outer and (inner == outer or inner.endswith(f".{outer}"))


def _one_line(text: str) -> str:
    # Names and hosts end up in mail headers and SMTP commands, where a line break would begin a new one.
    if not text.isprintable():
        message = "must be one line without control characters"
        raise ValueError(message)
    return text


def _lines(text: str) -> str:
    # A backslash and an n begin a new line, since most places that set an environment hold one line only.
    lines = [line.strip() for line in text.replace("\\n", "\n").splitlines()]
    return "\n".join(_one_line(line) for line in lines if line)


_NAMED_ADDRESS = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
"""`Tips <tips@example.com>`, as mail programs show a sender (RFC 5322 `name-addr`); the name may be in any script."""


def _email(text: str) -> str:
    if PLAIN_ADDRESS.fullmatch(text) and len(text) <= PLAIN_ADDRESS_LENGTH_MAX:
        return text
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - see `PLAIN_ADDRESS`

    named = _NAMED_ADDRESS.fullmatch(_one_line(text))
    try:
        result = validate_email(named["address"] if named else text, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        message = f"'{text}' is not an e-mail address: {str(error).rstrip('.')}"
        raise ValueError(message) from error
    if result.ascii_email is None:
        message = f"'{text}' has letters before the @ that many mail servers refuse; use plain ASCII there"
        raise ValueError(message)
    return f"{result.ascii_local_part}@{result.ascii_domain}"


def display_name(text: str) -> str:
    """Return the name in front of an address, as in `Tips <tips@example.com>`; empty where there is none."""
    named = _NAMED_ADDRESS.fullmatch(text)
    return named["name"].strip().strip('"').strip() if named else ""


def _mail_domain(text: str) -> str:
    if PLAIN_ADDRESS.fullmatch(f"b@{text}") and len(text) <= PLAIN_ADDRESS_LENGTH_MAX:
        return text
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - see `PLAIN_ADDRESS`

    try:
        return validate_email(f"b@{text}", check_deliverability=False).ascii_domain
    except EmailNotValidError as error:
        message = f"'{text}' is not a full domain name"
        raise ValueError(message) from error


def _selector(text: str) -> str:
    # RFC 6376 section 3.1: labels of a domain name; DNS ignores their capitals.
    if len(text) > SELECTOR_LENGTH_MAX:
        message = f"the selector {text[:12]}… is longer than {SELECTOR_LENGTH_MAX} letters; s202611 would do"
        raise ValueError(message)
    if not all(_SELECTOR_LABEL.fullmatch(label) for label in text.split(".")):
        message = f"'{text}' is not a selector; write letters, digits and hyphens, such as s202611"
        raise ValueError(message)
    return text.lower()


def _host(text: str) -> str:
    bare = text.strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if not all(_HOST_LABEL.fullmatch(label) for label in bare.rstrip(".").split(".")):
        message = f"'{text}' is not a host name or IP address; leave out any scheme, port or path"
        raise ValueError(message)
    return bare


def _split_url(text: str) -> SplitResult:
    _one_line(text)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        message = f"'{text}' is not a web address ({error})"
        raise ValueError(message) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in text:
        message = f"'{text}' is not a web address; it must begin with https:// and name a host"
        raise ValueError(message)
    if parts.username is not None:
        message = "must hold no user name or password, since every reader would see it"
        raise ValueError(message)
    return parts


def _link(text: str) -> str:
    _split_url(text)
    return text


def _secure_link(text: str) -> str:
    if _split_url(text).scheme != "https":
        message = f"'{text}' must begin with https://, since mail programs show no other pictures"
        raise ValueError(message)
    return text


def _accent_color(text: str) -> str:
    digits = text.removeprefix("#").lower()
    if not _COLOR.fullmatch(digits):
        message = f"'{text}' is not a colour such as #17604f"
        raise ValueError(message)
    color = "#" + (digits if len(digits) == len("rrggbb") else "".join(digit * 2 for digit in digits))
    ratio = contrast(color, MAIL_BACKGROUND)
    if ratio < TEXT_CONTRAST_MIN:
        message = (
            f"'{text}' is too light to be read: its contrast with the mail's background is {ratio:.1f} to 1, and "
            f"{TEXT_CONTRAST_MIN} is the least; choose a darker one"
        )
        raise ValueError(message)
    return color


def _base_url(text: str) -> str:
    parts = _split_url(text)
    if parts.query or parts.fragment:
        message = "must end with a host or a path: paths are appended to it"
        raise ValueError(message)
    # RFC 8058 section 3.1 wants https for the one-click link; on loopback no one else can listen.
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        message = f"'{text}' must begin with https://, or mail programs will not offer the unsubscribe button"
        raise ValueError(message)
    return text.rstrip("/")


def _language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        message = f"'{text}' is not a language tag such as en, de or pt-BR"
        raise ValueError(message)
    return text


def _weekday(text: str) -> str:
    day = text.lower().rstrip(".")
    if len(day) >= _WEEKDAY_LETTERS_MIN:
        # Three letters name one weekday: `tue`, `tues`, `thurs`.
        day = next((name for name in WEEKDAYS if name.startswith(day)), day)
    if day not in WEEKDAYS:
        message = f"'{text}' is not a weekday; write one of {', '.join(WEEKDAYS)}{did_you_mean(text, WEEKDAYS)}"
        raise ValueError(message)
    return day


def _clock_time(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        if match := _HALF_DAY_TIME.fullmatch(text.strip()):
            afternoon = _HALF_DAY_HOURS if match[3].lower() == "p" else 0
            return time(int(match[1]) % _HALF_DAY_HOURS + afternoon, int(match[2] or 0))
        match = _CLOCK_TIME.fullmatch(text.strip())
        return time(int(match[1]), int(match[2])) if match else time.fromisoformat("none")
    except ValueError as error:
        message = f"'{text}' is not a time from 00:00 to 23:59; 9am and 9:30 pm are understood too"
        raise ValueError(message) from error


def security_name(text: object) -> object:
    """Return how a connection is encrypted in our words: `SSL` is what mail programs call `tls`."""
    return _SECURITY_ALIASES.get(text.strip().lower(), text.strip().lower()) if isinstance(text, str) else text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError) as error:
        # Only now, since listing every zone reads hundreds of files.
        hint = did_you_mean(text, sorted(available_timezones()))
        message = f"'{text}' is not a time zone; write an IANA name such as Europe/Berlin{hint}"
        raise ValueError(message) from error
    return text


def _long_secret(secret: SecretStr) -> SecretStr:
    if len(secret) < SECRET_LENGTH_MIN:
        message = f"is too short; write at least {SECRET_LENGTH_MIN} characters"
        raise ValueError(message)
    return secret


def _split_commas(text: object) -> object:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


def _dns_servers(servers: tuple[str, ...]) -> tuple[str, ...]:
    for server in servers:
        host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "53")
        try:
            ipaddress.ip_address(host)
            int(port)
        except ValueError as error:
            message = f"'{server}' is no address of a server; write 192.0.2.1 or 192.0.2.1:53"
            raise ValueError(message) from error
    return servers


def _topics(topics: tuple[str, ...]) -> tuple[str, ...]:
    for topic in topics:
        if not _TOPIC.fullmatch(topic):
            message = f"'{topic}' is no topic; write its ARN, such as arn:aws:sns:eu-west-1:123456789012:bounces"
            raise ValueError(message)
    return topics


def _database_url(secret: SecretStr) -> SecretStr:
    # A database URL may hold a password, so no message here repeats it.
    scheme, host, rest = secret.get_secret_value().partition("://")
    if not host or scheme not in DATABASES:
        message = "must begin with sqlite:/// or postgresql://"
        raise ValueError(message)
    if scheme == "sqlite" and rest.partition("?")[0] in {"", "/", "/:memory:"}:
        message = "must name a file, since a database in memory is lost with the process"
        raise ValueError(message)
    if scheme == "sqlite" and not rest.startswith("/"):
        message = "needs three slashes before the path of the file, and four before an absolute one"
        raise ValueError(message)
    return secret


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(text, strict=False)) for text in texts)
    except ValueError as error:
        message = f"{error}; write addresses or networks such as 127.0.0.1 or 10.0.0.0/8, separated by commas"
        raise ValueError(message) from error


def _title_patterns(text: str) -> str:
    for pattern in _one_line(text).split("|"):
        if pattern.strip() and sorted(_PLACE.findall(pattern)) != ["day", "month", "title", "year"]:
            message = f"'{pattern.strip()}' must have each of {{title}}, {{month}}, {{day}} and {{year}} once"
            raise ValueError(message)
    return text


def _existing_file(path: Path) -> Path:
    return _existing(path, "file")


def _existing_folder(path: Path) -> Path:
    return _existing(path, "folder")


def _existing(path: Path, kind: str) -> Path:
    try:
        exists = path.is_file() if kind == "file" else path.is_dir()
    except OSError as error:
        # A name that is too long, a folder that this user may not enter.
        message = f"{path} cannot be used ({error.strerror}); name another {kind}"
        raise ValueError(message) from error
    if not exists:
        message = f"there is no {kind} {path}"
        raise ValueError(message)
    return path


Line = Annotated[str, AfterValidator(_one_line)]
Lines = Annotated[str, AfterValidator(_lines)]
Email = Annotated[str, AfterValidator(_email)]
Emails = Annotated[tuple[Email, ...], BeforeValidator(_split_commas)]
Networks = Annotated[tuple[str, ...], BeforeValidator(_split_commas), AfterValidator(_networks)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
DnsServers = Annotated[Words, AfterValidator(_dns_servers)]
Topics = Annotated[Words, AfterValidator(_topics)]
MailDomain = Annotated[str, AfterValidator(_mail_domain)]
Selector = Annotated[str, AfterValidator(_selector)]
Host = Annotated[str, AfterValidator(_host)]
Link = Annotated[str, AfterValidator(_link)]
SecureLink = Annotated[str, AfterValidator(_secure_link)]
AccentColor = Annotated[str, AfterValidator(_accent_color)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Language = Annotated[str, AfterValidator(_language)]
Weekday = Annotated[str, AfterValidator(_weekday)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
TitlePatterns = Annotated[str, AfterValidator(_title_patterns)]
Zone = Annotated[str, AfterValidator(_zone)]
SecurityName = Annotated[Literal["starttls", "tls", "none"], BeforeValidator(security_name)]
LongSecret = Annotated[SecretStr, AfterValidator(_long_secret)]
LongSecrets = Annotated[tuple[LongSecret, ...], BeforeValidator(_split_commas)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]
ExistingFolder = Annotated[Path, AfterValidator(_existing_folder)]
