"""Settings: what an operator writes, and what comes of it."""

from __future__ import annotations

import os
from datetime import time
from pathlib import Path

import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from newsletter.errors import InputError
from newsletter.settings.loader import load_settings
from newsletter.settings.model import SECRETS, Settings, settings_help
from newsletter.settings.values import PLAIN_ADDRESS, PLAIN_ADDRESS_LENGTH_MAX, is_loopback
from newsletter.wording import WEEKDAYS

KEY = "k3y-of-the-tests-0123456789-abcdef"
REQUIRED = {
    "NEWSLETTER_FROM": "tips@example.com",
    "NEWSLETTER_POSTAL_ADDRESS": "Example Society, 1 Example Street, Springfield",
    "NEWSLETTER_BASE_URL": "https://news.example.com",
    "NEWSLETTER_SECRET_KEY": KEY,
}


def load(home: Path, **values: str) -> Settings:
    """Load the required settings and those given, without the prefix."""
    return load_settings(REQUIRED | {f"NEWSLETTER_{name}": value for name, value in values.items()}, home)


def mistakes(home: Path, **values: str) -> tuple[str, ...]:
    """Return the lines of the error that these settings are answered with."""
    with pytest.raises(InputError) as caught:
        load(home, **values)
    return caught.value.details


def test_required_settings_are_enough(tmp_path: Path) -> None:
    """Four settings make a newsletter; all others have a default."""
    settings = load(tmp_path)
    assert settings.from_email == "tips@example.com"
    assert settings.name == "Tip of the Week"
    assert (settings.send_day, settings.send_time, settings.time_zone) == ("tuesday", time(9), "America/New_York")
    assert (settings.smtp_host, settings.smtp_port, settings.smtp_security) == ("localhost", 587, "starttls")
    assert (settings.rate_per_second, settings.rate_per_hour, settings.rate_per_day) == (0, 0, 0)


def test_every_default_is_a_value_that_could_be_written(tmp_path: Path) -> None:
    """Writing each default into the environment changes nothing."""
    written = {setting.name.removeprefix("NEWSLETTER_"): setting.default for setting in settings_help()}
    optional = {name: value for name, value in written.items() if value}
    assert load(tmp_path, **optional) == load(tmp_path)


def test_every_example_is_a_value_that_could_be_written(tmp_path: Path) -> None:
    """The example of each required setting is accepted."""
    examples = {setting.name.removeprefix("NEWSLETTER_"): setting.example for setting in settings_help()}
    assert load(tmp_path, **{name: value for name, value in examples.items() if value}).from_email


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Nothing can change a setting after it was read."""
    settings = load(tmp_path)
    with pytest.raises(ValidationError):
        settings.name = "Another"  # type: ignore[misc]


def test_no_settings_at_all_names_every_required_one(tmp_path: Path) -> None:
    """An empty environment is answered with one line for each setting that must be made."""
    with pytest.raises(InputError) as caught:
        load_settings({}, tmp_path)
    assert [line.partition(":")[0] for line in caught.value.details] == sorted(
        REQUIRED, key=[setting.name for setting in settings_help()].index
    )
    assert all("is missing" in line for line in caught.value.details)
    assert "`newsletter init`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_env_file_is_read_and_environment_wins(tmp_path: Path) -> None:
    """`.env` of the home folder gives settings, and the environment beats it."""
    (tmp_path / ".env").write_text("NEWSLETTER_NAME='From the file'\nexport NEWSLETTER_SEND_DAY=friday # a comment\n")
    assert load(tmp_path).name == "From the file"
    assert load(tmp_path).send_day == "friday"
    assert load(tmp_path, NAME="From outside").name == "From outside"


def test_reading_the_env_file_leaves_the_process_alone(tmp_path: Path) -> None:
    """Neither is the process environment changed by `.env`, nor read for it."""
    (tmp_path / ".env").write_text(
        "NEWSLETTER_NAME=file\nNEWSLETTER_SMTP_USERNAME=u\nNEWSLETTER_SMTP_PASSWORD=${HOME}x\n"
    )
    before = dict(os.environ)
    password = load(tmp_path).smtp_password
    assert dict(os.environ) == before
    assert password is not None
    assert password.get_secret_value() == "${HOME}x"


def test_other_names_of_the_env_file_are_left_to_others(tmp_path: Path) -> None:
    """A line for another program, such as the database's own password, is no mistake."""
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=x\n")
    assert load(tmp_path, HOME="/elsewhere").name == "Tip of the Week"


def test_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    """A file saved with a byte order mark is read like any other."""
    (tmp_path / ".env").write_text("NEWSLETTER_NAME=Marked\n", encoding="utf-8-sig")
    assert load(tmp_path).name == "Marked"


def test_broken_line_of_the_env_file_is_named(tmp_path: Path) -> None:
    """A line that is no setting is reported with its number, not dropped in silence."""
    (tmp_path / ".env").write_text("NEWSLETTER_NAME=fine\nNEWSLETTER_SEND_DAY friday\nNEWSLETTER_WEB_PORT\n")
    lines = mistakes(tmp_path)
    assert [line.partition(":")[0] for line in lines] == [f"{tmp_path / '.env'}, line {number}" for number in (2, 3)]


def test_unreadable_env_file_is_a_mistake(tmp_path: Path) -> None:
    """A `.env` that is no text is reported, since the settings it holds would be missed."""
    (tmp_path / ".env").write_bytes(b"NEWSLETTER_NAME=\xff\xfe\n")
    assert "cannot be read" in mistakes(tmp_path)[0]


def test_a_folder_in_the_place_of_the_env_file_is_a_mistake(tmp_path: Path) -> None:
    """It is told in words, without the number of the system's error."""
    (tmp_path / ".env").mkdir()
    assert mistakes(tmp_path)[0].startswith(f"{tmp_path / '.env'}: cannot be read (Is a directory); make it")


def test_empty_counts_as_unset(tmp_path: Path) -> None:
    """`KEY=` gives the default, and does not hide what the file says."""
    (tmp_path / ".env").write_text("NEWSLETTER_NAME=file\nNEWSLETTER_GRACE_HOURS=\n")
    settings = load(tmp_path, NAME="", SMTP_PORT=" ")
    assert (settings.name, settings.grace_hours, settings.smtp_port) == ("file", 36, 587)


def test_all_mistakes_come_together(tmp_path: Path) -> None:
    """Wrong values, missing ones, unknown names and contradictions are one error with a line each."""
    values = {
        "NEWSLETTER_FROM": "nobody",
        "NEWSLETTER_SMPT_HOST": "mail.example.com",
        "NEWSLETTER_SMTP_PORT": "many",
        "NEWSLETTER_SMTP_USERNAME": "me",
        "NEWSLETTER_SMTP_SECURITY": "none",
        "NEWSLETTER_SMTP_HOST": "mail.example.com",
        "NEWSLETTER_SEND_DAY": "tusday",
    }
    with pytest.raises(InputError) as caught:
        load_settings(values, tmp_path)
    assert [line.partition(":")[0].removeprefix("NEWSLETTER_") for line in caught.value.details] == [
        "SMPT_HOST",
        "FROM",
        "POSTAL_ADDRESS",
        "BASE_URL",
        "SECRET_KEY",
        "SEND_DAY",
        "SMTP_PORT",
        "SMTP_USERNAME",
        "SMTP_SECURITY",
    ]
    assert str(caught.value).startswith("3 settings are missing and 6 are wrong;")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SMPT_HOST", "SMTP_HOST"),
        ("SEND_DAYS", "SEND_DAY"),
        ("SMTP_PASSWORD_FIEL", "SMTP_PASSWORD_FILE"),
        ("Base_Url", "BASE_URL"),
    ],
)
def test_unknown_name_is_answered_with_the_nearest(tmp_path: Path, name: str, meant: str) -> None:
    """A name with a slip in it is refused, and the name that was meant is offered."""
    assert mistakes(tmp_path, **{name: "x"}) == (
        f"NEWSLETTER_{name}: is not a setting; did you mean NEWSLETTER_{meant}?",
    )


def test_unknown_name_in_the_env_file_is_refused_too(tmp_path: Path) -> None:
    """A slip in `.env` counts like one in the environment."""
    (tmp_path / ".env").write_text("NEWSLETTER_XYZZY=1\n")
    assert mistakes(tmp_path) == ("NEWSLETTER_XYZZY: is not a setting; remove it",)


@pytest.mark.parametrize("key", SECRETS)
def test_secret_comes_from_a_file(tmp_path: Path, key: str) -> None:
    """Each secret may be named by file, relative to the home folder; the line end is no part of it."""
    value = "postgresql://u:p@db.example.com/n" if key == "database_url" else KEY * 2
    (tmp_path / "secret").write_text(f"{value}\n")
    values = {f"NEWSLETTER_{key.upper()}_FILE": "secret"}
    logins = {
        "smtp_password": {"NEWSLETTER_SMTP_USERNAME": "me"},
        "fallback_smtp_password": {
            "NEWSLETTER_FALLBACK_SMTP_HOST": "spare.example.com",
            "NEWSLETTER_FALLBACK_SMTP_USERNAME": "me",
        },
    }
    needed = logins.get(key, {})
    others = {name: text for name, text in REQUIRED.items() if name != f"NEWSLETTER_{key.upper()}"}
    loaded = getattr(load_settings(others | needed | values, tmp_path), key)
    secret = loaded[0] if isinstance(loaded, tuple) else loaded
    assert secret.get_secret_value() == value


def test_environment_beats_the_env_file_also_across_the_two_forms(tmp_path: Path) -> None:
    """A secret file named by the environment replaces the secret of `.env`, and the other way round."""
    (tmp_path / "key").write_text("f" * 32)
    others = {name: text for name, text in REQUIRED.items() if name != "NEWSLETTER_SECRET_KEY"}
    (tmp_path / ".env").write_text(f"NEWSLETTER_SECRET_KEY={KEY}\n")
    by_file = load_settings(others | {"NEWSLETTER_SECRET_KEY_FILE": "key"}, tmp_path)
    assert by_file.secret_key.get_secret_value() == "f" * 32
    (tmp_path / ".env").write_text("NEWSLETTER_SECRET_KEY_FILE=no-such-file\n")
    assert load(tmp_path).secret_key.get_secret_value() == KEY


def test_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """A secret and its file in one place contradict each other, and nothing is read."""
    lines = mistakes(tmp_path, SECRET_KEY_FILE="no-such-file")
    assert lines == ("NEWSLETTER_SECRET_KEY: is set, and NEWSLETTER_SECRET_KEY_FILE too; remove one of them",)


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_secret_file_must_hold_something(tmp_path: Path, content: str | None) -> None:
    """A secret file that is missing or empty is named."""
    if content is not None:
        (tmp_path / "password").write_text(content)
    line = mistakes(tmp_path, SMTP_USERNAME="me", SMTP_PASSWORD_FILE="password")[0]
    assert line.startswith(f"NEWSLETTER_SMTP_PASSWORD_FILE: {tmp_path / 'password'} ")


def test_only_secrets_have_a_file_form(tmp_path: Path) -> None:
    """`NEWSLETTER_NAME_FILE` is no setting."""
    assert mistakes(tmp_path, NAME_FILE="x")[0].startswith("NEWSLETTER_NAME_FILE: is not a setting")


def test_secrets_are_never_printed(tmp_path: Path) -> None:
    """Neither the settings, nor the error about them, show a secret."""
    sesame = "open-sesame-open-sesame-open-sesame"
    settings = load(
        tmp_path,
        SECRET_KEY=sesame,
        SECRET_KEYS_OLD=f"{sesame},{sesame}",
        SMTP_USERNAME="me",
        SMTP_PASSWORD=sesame,
        DATABASE_URL=f"postgresql://u:{sesame}@db.example.com/n",
    )
    shown = (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump()))
    assert not any(sesame in text for text in shown)
    lines = mistakes(tmp_path, SECRET_KEY="sesame", SECRET_KEYS_OLD="sesame", DATABASE_URL="mysql://u:sesame@h/n")
    assert len(lines) == 3
    assert "sesame" not in "".join(lines)


@pytest.mark.parametrize("text", [f"{KEY},{KEY[::-1]}", f" {KEY} , {KEY[::-1]},"])
def test_old_keys_are_separated_by_commas(tmp_path: Path, text: str) -> None:
    """Any number of old keys stay valid."""
    assert [key.get_secret_value() for key in load(tmp_path, SECRET_KEYS_OLD=text).secret_keys_old] == [KEY, KEY[::-1]]


def test_short_secret_is_refused(tmp_path: Path) -> None:
    """A secret of 31 characters is refused, one of 32 is not."""
    assert mistakes(tmp_path, SECRET_KEY="x" * 31)
    assert load(tmp_path, SECRET_KEY="x" * 32)


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        (None, "sqlite:///{home}/data/newsletter.db"),
        ("sqlite:///n.db", "sqlite:///{home}/n.db"),
        ("sqlite:///n.db?timeout=9", "sqlite:///{home}/n.db?timeout=9"),
        ("sqlite:////srv/n.db", "sqlite:////srv/n.db"),
        ("postgresql://me@db.example.com/n", "postgresql://me@db.example.com/n"),
        ("postgresql+psycopg:///n", "postgresql+psycopg:///n"),
    ],
)
def test_database_file_is_relative_to_home(tmp_path: Path, url: str | None, resolved: str) -> None:
    """A relative SQLite file lies in the home folder, wherever the command was started."""
    settings = load(tmp_path, **({} if url is None else {"DATABASE_URL": url}))
    assert settings.database_url.get_secret_value() == resolved.format(home=tmp_path)


@pytest.mark.parametrize(
    "url", ["newsletter.db", "mysql://h/n", "postgres://h/n", "sqlite://", "sqlite:///:memory:", "sqlite://n.db"]
)
def test_database_must_be_one_we_know_and_keep(tmp_path: Path, url: str) -> None:
    """A database of another kind, or one that is gone with the process, is refused."""
    assert mistakes(tmp_path, DATABASE_URL=url)[0].startswith("NEWSLETTER_DATABASE_URL: ")


def test_relative_paths_are_relative_to_home(tmp_path: Path) -> None:
    """The templates folder and the certificate file are looked for in the home folder."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "ca.pem").touch()
    settings = load(tmp_path, TEMPLATES_DIR="mine", SMTP_CA_FILE="ca.pem")
    assert (settings.templates_dir, settings.smtp_ca_file) == (tmp_path / "mine", tmp_path / "ca.pem")
    lines = mistakes(tmp_path, TEMPLATES_DIR="ca.pem", SMTP_CA_FILE="mine")
    assert lines == (
        f"NEWSLETTER_SMTP_CA_FILE: there is no file {tmp_path / 'mine'}",
        f"NEWSLETTER_TEMPLATES_DIR: there is no folder {tmp_path / 'ca.pem'}",
    )


@pytest.mark.parametrize("host", ["mail.example.com", "192.0.2.1", "::", "0.0.0.0"])  # noqa: S104 - a value under test
def test_plaintext_beyond_this_machine_must_be_allowed(tmp_path: Path, host: str) -> None:
    """Mail in clear text to another machine needs a second, explicit yes."""
    lines = mistakes(tmp_path, SMTP_SECURITY="none", SMTP_HOST=host)
    assert len(lines) == 1
    assert "NEWSLETTER_SMTP_ALLOW_PLAINTEXT=true" in lines[0]
    assert load(tmp_path, SMTP_SECURITY="none", SMTP_HOST=host, SMTP_ALLOW_PLAINTEXT="true").smtp_allow_plaintext


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "relay.localhost"])
def test_plaintext_on_this_machine_is_fine(tmp_path: Path, host: str) -> None:
    """A relay on the same machine needs no encryption."""
    assert load(tmp_path, SMTP_SECURITY="none", SMTP_HOST=host).smtp_security == "none"


@pytest.mark.parametrize(("values", "missing"), [("USERNAME", "PASSWORD"), ("PASSWORD", "USERNAME")])
def test_login_needs_both_halves(tmp_path: Path, values: str, missing: str) -> None:
    """A username without password, or the reverse, is a contradiction."""
    line = mistakes(tmp_path, **{f"SMTP_{values}": "x"})[0]
    assert line.startswith(f"NEWSLETTER_SMTP_{values}: ")
    assert f"NEWSLETTER_SMTP_{missing}" in line


def test_implicit_tls_port_with_starttls_is_refused(tmp_path: Path) -> None:
    """Port 465 never offers STARTTLS, so that pair would only ever time out."""
    assert "tls" in mistakes(tmp_path, SMTP_PORT="465")[0]
    assert load(tmp_path, SMTP_PORT="465", SMTP_SECURITY="tls").smtp_port == 465


def test_a_second_mail_server_is_judged_like_the_first(tmp_path: Path) -> None:
    """Its login, its encryption and its port must agree as well, and without a host it is not meant."""
    assert load(tmp_path).fallback_smtp_host == ""
    fallback = {"FALLBACK_SMTP_HOST": "spare.example.com"}
    lines = mistakes(tmp_path, **fallback, FALLBACK_SMTP_PORT="465", FALLBACK_SMTP_USERNAME="me")
    assert [line.partition(":")[0] for line in lines] == [
        "NEWSLETTER_FALLBACK_SMTP_USERNAME",
        "NEWSLETTER_FALLBACK_SMTP_SECURITY",
    ]
    assert "NEWSLETTER_SMTP_ALLOW_PLAINTEXT" in mistakes(tmp_path, **fallback, FALLBACK_SMTP_SECURITY="none")[0]
    for key in ("USERNAME", "PASSWORD"):
        line = mistakes(tmp_path, **{f"FALLBACK_SMTP_{key}": "x"})[0]
        assert line.startswith(f"NEWSLETTER_FALLBACK_SMTP_{key}: ")
        assert "NEWSLETTER_FALLBACK_SMTP_HOST" in line


def test_contradiction_is_not_claimed_of_a_wrong_value(tmp_path: Path) -> None:
    """A value that could not be read is reported once, and no conclusion is drawn from it."""
    lines = mistakes(tmp_path, SMTP_PORT="x", SMTP_SECURITY="none", SMTP_USERNAME="a\nb", SMTP_PASSWORD="p")
    assert [line.partition(":")[0] for line in lines] == ["NEWSLETTER_SMTP_PORT", "NEWSLETTER_SMTP_USERNAME"]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://news.example.com/", "https://news.example.com"),
        ("https://example.com/news//", "https://example.com/news"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ],
)
def test_base_url_is_kept_without_its_slash(tmp_path: Path, url: str, kept: str) -> None:
    """The base URL is https, or any on this machine; no slash stays at its end."""
    assert load(tmp_path, BASE_URL=url).base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://news.example.com",
        "news.example.com",
        "https://",
        "https://me:pw@example.com",
        "https://example.com/?a=b",
        "https://example.com/#a",
        "https://example.com:port",
        "https://a b.example.com",
        "ftp://localhost",
    ],
)
def test_base_url_that_links_cannot_be_made_from_is_refused(tmp_path: Path, url: str) -> None:
    """What is not plain https, or cannot have a path appended, is refused with an example."""
    line = mistakes(tmp_path, BASE_URL=url)[0]
    assert line.startswith("NEWSLETTER_BASE_URL: ")
    assert "https://news.example.com" in line


def test_postal_address_has_lines(tmp_path: Path) -> None:
    """A backslash and an n, or a real line break, begins a new line; empty ones are left out."""
    assert load(tmp_path, POSTAL_ADDRESS="A\\nB\n\n C ").postal_address == "A\nB\nC"


@pytest.mark.parametrize("name", ["NAME", "SMTP_USERNAME"])
def test_line_break_is_refused_where_it_would_begin_a_header(tmp_path: Path, name: str) -> None:
    """A name of two lines could smuggle a header into every mail."""
    password = {"SMTP_PASSWORD": "x"} if name == "SMTP_USERNAME" else {}
    assert "one line" in mistakes(tmp_path, **{name: "Tips\r\nBcc: all@example.com"}, **password)[0]


@pytest.mark.parametrize(
    "address", ["nobody", "a b@example.com", "tips@localhost", f"{'x' * 65}@example.com", "é@example.com"]
)
@pytest.mark.parametrize("name", ["FROM", "REPLY_TO", "CFBL_ADDRESS"])
def test_address_that_servers_refuse_is_refused_here(tmp_path: Path, name: str, address: str) -> None:
    """An address is checked strictly, before any mail bears it."""
    assert mistakes(tmp_path, **{name: address})[0].startswith(f"NEWSLETTER_{name}: ")


def test_domains_are_kept_as_they_travel(tmp_path: Path) -> None:
    """A domain with an umlaut is kept as its A-label, which every server takes."""
    settings = load(tmp_path, FROM="Tips@Bücher.Example.com", BOUNCE_DOMAIN="bücher.example.com")
    assert settings.from_email == "Tips@xn--bcher-kva.example.com"
    assert settings.bounce_domain == "xn--bcher-kva.example.com"


@pytest.mark.parametrize("name", ["BOUNCE_DOMAIN", "SMTP_EHLO_NAME"])
@pytest.mark.parametrize("domain", ["localhost", "host", "a@example.com", "-.example.com"])
def test_domain_must_be_whole(tmp_path: Path, name: str, domain: str) -> None:
    """A bare host name would be refused by the servers that see it."""
    assert mistakes(tmp_path, **{name: domain})[0].startswith(f"NEWSLETTER_{name}: ")


@pytest.mark.parametrize("zone", ["America/Newyork", "america/new_york_city", "../etc/passwd", "America", "x\0y"])
def test_unknown_zone_is_refused(tmp_path: Path, zone: str) -> None:
    """A zone that the time zone database does not know is refused."""
    assert mistakes(tmp_path, TIME_ZONE=zone)[0].startswith("NEWSLETTER_TIME_ZONE: ")


def test_zone_with_a_slip_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """The zone that was meant is offered."""
    assert mistakes(tmp_path, TIME_ZONE="Europe/Berln")[0].endswith("did you mean Europe/Berlin?")


@given(st.from_regex(PLAIN_ADDRESS, fullmatch=True).filter(lambda text: len(text) <= PLAIN_ADDRESS_LENGTH_MAX))
def test_a_plain_address_is_what_the_library_makes_of_it(address: str) -> None:
    """An address that is taken without `email_validator` is taken by it too, and unchanged."""
    checked = validate_email(address, check_deliverability=False, strict=True, allow_display_name=True)
    assert (checked.ascii_email, checked.display_name) == (address, None)
    assert load(Path("/nowhere"), FROM=address).from_email == address


@given(day=st.sampled_from(WEEKDAYS), shout=st.booleans())
def test_weekday_may_be_shouted(day: str, shout: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
    """Every weekday is known, in any case."""
    assert load(Path("/nowhere"), SEND_DAY=day.upper() if shout else day.title()).send_day == day


def test_unknown_weekday_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """A weekday with a slip in it is refused, and the one that was meant is offered."""
    assert mistakes(tmp_path, SEND_DAY="wendesday")[0].endswith("did you mean wednesday?")


@given(at=st.times().map(lambda moment: moment.replace(second=0, microsecond=0)))
def test_time_of_day_is_read_back(at: time) -> None:
    """Every minute of the day can be written, as the default is."""
    assert load(Path("/nowhere"), SEND_TIME=at.isoformat("minutes")).send_time == at


@pytest.mark.parametrize(
    ("text", "at"),
    [("9am", "09:00"), ("9 AM", "09:00"), ("12am", "00:00"), ("12:30pm", "12:30"), ("9:05 p.m.", "21:05")],
)
def test_time_of_half_a_day(tmp_path: Path, text: str, at: str) -> None:
    """A time with am or pm is understood."""
    assert load(tmp_path, SEND_TIME=text).send_time.isoformat("minutes") == at


@pytest.mark.parametrize("text", ["Tue", "tues", "TUE.", "Tuesday"])
def test_short_weekday(tmp_path: Path, text: str) -> None:
    """The first letters of a weekday are enough."""
    assert load(tmp_path, SEND_DAY=text).send_day == "tuesday"


@pytest.mark.parametrize(("text", "security"), [("SSL", "tls"), ("ssl/tls", "tls"), ("StartTLS", "starttls")])
def test_security_by_its_other_names(tmp_path: Path, text: str, security: str) -> None:
    """What mail programs call SSL is tls, in any case of the letters."""
    assert load(tmp_path, SMTP_SECURITY=text, SMTP_PORT="2525").smtp_security == security


def test_sender_with_a_name(tmp_path: Path) -> None:
    """The name before the sender's address is that of the newsletter unless NEWSLETTER_NAME is set."""
    settings = load(tmp_path, FROM="Weekly Tips <tips@example.com>", ADMIN_EMAILS="Admin <admin@example.com>")
    assert (settings.from_email, settings.name) == ("tips@example.com", "Weekly Tips")
    assert settings.admin_emails == ("admin@example.com",)
    assert load(tmp_path, FROM="Weekly Tips <tips@example.com>", NAME="Tip of the Day").name == "Tip of the Day"
    assert load(tmp_path, FROM="tips@example.com").name == "Tip of the Week"


@pytest.mark.parametrize("name", ["TEMPLATES_DIR", "SMTP_CA_FILE"])
def test_a_path_that_is_too_long_is_a_mistake(tmp_path: Path, name: str) -> None:
    """A name at which no file can stand is reported like every other wrong value."""
    [line] = mistakes(tmp_path, **{name: "x" * 300})
    assert line.startswith(f"NEWSLETTER_{name}: ")
    assert "cannot be used" in line


@pytest.mark.parametrize("text", ["24:00", "9", "09:60", "13pm", "0am", "09:00:30", "-1:00"])
def test_time_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """Anything but hours and minutes is refused."""
    assert mistakes(tmp_path, SEND_TIME=text)[0].startswith(f"NEWSLETTER_SEND_TIME: '{text}' is not a time")


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("GRACE_HOURS", 1, 167),
        ("EXPIRE_HOURS", 1, 167),
        ("SMTP_PORT", 1, 65535),
        ("WEB_PORT", 1, 65535),
        ("SMTP_CONNECTIONS", 1, 50),
        ("RATE_PER_SECOND", 0, None),
        ("RATE_PER_HOUR", 0, None),
        ("RATE_PER_DAY", 0, None),
        ("LOW_STOCK_WEEKS", 0, None),
        ("EVERGREEN_REST_WEEKS", 0, None),
    ],
)
def test_numbers_have_bounds(tmp_path: Path, name: str, lowest: int, highest: int | None) -> None:
    """The bounds themselves are taken, and one beyond is refused with the bound."""
    assert getattr(load(tmp_path, **{name: str(lowest)}), name.lower()) == lowest
    assert mistakes(tmp_path, **{name: str(lowest - 1)})[0].endswith(f"write {lowest} or more")
    if highest is not None:
        assert getattr(load(tmp_path, **{name: str(highest)}), name.lower()) == highest
        assert mistakes(tmp_path, **{name: str(highest + 1)})[0].endswith(f"write {highest} or less")


@pytest.mark.parametrize("text", ["many", "1.5", "1e", "0x10", "9" * 5000])
def test_number_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """Anything but digits is refused in words."""
    assert mistakes(tmp_path, WEB_PORT=text)[0].endswith("is not a whole number; write digits only")


@pytest.mark.parametrize(("name", "choices"), [("UNCERTAIN", "'hold' or 'retry'"), ("LOG_FORMAT", "'text' or 'json'")])
def test_choice_lists_what_may_be_chosen(tmp_path: Path, name: str, choices: str) -> None:
    """A word that is no choice is answered with the choices."""
    assert mistakes(tmp_path, **{name: "perhaps"}) == (
        f"NEWSLETTER_{name}: 'perhaps' is not a choice; write {choices}",
    )


def test_yes_or_no_is_read_in_the_usual_words(tmp_path: Path) -> None:
    """`yes`, `on` and `1` are yes; another word is refused."""
    for word in ("yes", "on", "1", "true", "TRUE"):
        assert load(tmp_path, SMTP_ALLOW_PLAINTEXT=word).smtp_allow_plaintext
    assert "write true or false" in mistakes(tmp_path, SMTP_ALLOW_PLAINTEXT="perhaps")[0]


@pytest.mark.parametrize("name", ["ARCHIVE_URL", "SIGNUP_URL", "CONTACT_URL", "RESOURCES_URL", "HOME_URL"])
def test_footer_links_are_web_addresses(tmp_path: Path, name: str) -> None:
    """A footer link is unset, or a web address."""
    assert getattr(load(tmp_path), name.lower()) == ""
    assert (
        getattr(load(tmp_path, **{name: "https://example.org/a?b=c#d"}), name.lower()) == "https://example.org/a?b=c#d"
    )
    assert mistakes(tmp_path, **{name: "javascript:alert(1)"})[0].startswith(f"NEWSLETTER_{name}: ")


@pytest.mark.parametrize("host", ["http://mail.example.com", "mail.example.com:25", "mail example", "a..b", "-a"])
def test_host_is_only_a_host(tmp_path: Path, host: str) -> None:
    """A scheme, a port or a blank in a host name is refused."""
    assert mistakes(tmp_path, SMTP_HOST=host)[0].startswith("NEWSLETTER_SMTP_HOST: ")


@pytest.mark.parametrize("tag", ["english", "e", "en_US", "de-"])
def test_language_is_a_tag(tmp_path: Path, tag: str) -> None:
    """A word that is no language tag is refused; `pt-BR` is taken."""
    assert mistakes(tmp_path, LANGUAGE=tag)[0].startswith("NEWSLETTER_LANGUAGE: ")
    assert load(tmp_path, LANGUAGE="pt-BR").language == "pt-BR"


@given(st.dictionaries(st.sampled_from([setting.name for setting in settings_help()]), st.text()))
def test_odd_values_are_reported_in_plain_lines(values: dict[str, str]) -> None:
    """Whatever else is written, and however odd, each mistake stays one printable line."""
    with pytest.raises(InputError) as caught:
        load_settings(values | {"NEWSLETTER_WEB_PORT": "0"}, Path("/nowhere"))
    lines = caught.value.details
    assert "NEWSLETTER_WEB_PORT: 0 is too small; write 1 or more" in lines
    assert all(line.isprintable() and len(line) < 500 for line in lines)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "localhost.example.com", "128.0.0.1", "fe80::1"])
def test_other_machines_are_not_this_one(host: str) -> None:
    """Only this machine's own addresses and names are loopback."""
    assert not is_loopback(host)
