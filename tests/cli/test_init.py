"""`newsletter init`: a folder becomes an installation, and nothing that stands is overwritten."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.cli.env_file import env_text, write_env
from newsletter.cli.init_questions import FIRST_QUESTIONS, schedule_values
from newsletter.cli.machine_zone import machine_zone
from newsletter.core.token import key_fingerprint
from newsletter.errors import InputError, Stop
from newsletter.settings.loader import load_settings
from newsletter.settings.model import settings_help
from newsletter.store import installation
from newsletter.store.database import connect, open_unit
from newsletter.store.installation import Installation
from newsletter.store.upgrade import upgrade
from tests.conftest import SECRET

COMMAND = (sys.executable, "-m", "newsletter")
GIVEN = (
    "--from=tips@example.com",
    "--postal-address=Example Society\\n1 Example Street",
    "--base-url=https://news.example.com",
)
LIMIT = 30.0
"""Seconds that a command may take on a busy machine before the test gives up."""


def newsletter(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line without a terminal."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def installation_of(home: Path) -> Installation:
    """Return the one row of the database in a home."""
    engine = connect(f"sqlite:///{home / 'data/newsletter.db'}")
    with open_unit(engine).read() as tx:
        installed = installation.get(tx)
    engine.dispose()
    return installed


def test_init_makes_an_installation_that_can_be_used(tmp_path: Path) -> None:
    """Without a terminal the options make a `.env` that loads and a database that knows its key."""
    home = tmp_path / "new" / "home"
    result = newsletter("init", home, *GIVEN, "--name=A 'quoted' # name", "--time-zone=Europe/Berlin")
    assert result.returncode == 0, result.stderr
    loaded = load_settings({}, home)
    assert loaded.name == "A 'quoted' # name"
    assert loaded.postal_address == "Example Society\n1 Example Street"
    assert loaded.time_zone == "Europe/Berlin"
    assert installation_of(home).key_fingerprint == key_fingerprint(loaded.secret_key.get_secret_value())
    assert newsletter("-C", home, "db", "check").returncode == 0
    assert loaded.secret_key.get_secret_value() not in result.stdout + result.stderr


def test_what_init_makes_is_private(tmp_path: Path) -> None:
    """Only the owner can read the key and the addresses."""
    assert newsletter("init", tmp_path, *GIVEN).returncode == 0
    for name in (".env", "data/newsletter.db"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_two_installations_have_two_keys(tmp_path: Path) -> None:
    """Each secret key is fresh."""
    for name in ("one", "two"):
        assert newsletter("init", tmp_path / name, *GIVEN).returncode == 0
    keys = {load_settings({}, tmp_path / name).secret_key.get_secret_value() for name in ("one", "two")}
    assert len(keys) == 2


def test_a_second_init_touches_nothing(tmp_path: Path) -> None:
    """Running it twice is harmless and says so; options with other values than the file's end with exit code 2."""
    assert newsletter("init", tmp_path, *GIVEN).returncode == 0
    before = (tmp_path / ".env").read_bytes(), installation_of(tmp_path)
    again = newsletter("init", tmp_path, *GIVEN)
    assert again.returncode == 0
    assert again.stdout.count("not changed") == 2
    other = newsletter("init", tmp_path, "--name=Another", "--send-day=tuesday")
    assert other.returncode == 2
    assert "has other values; edit that file" in other.stderr
    assert "NEWSLETTER_NAME: 'Another'" in other.stderr
    assert "SEND_DAY" not in other.stderr
    assert ((tmp_path / ".env").read_bytes(), installation_of(tmp_path)) == before


def test_what_is_missing_is_left_open_and_named(tmp_path: Path) -> None:
    """Without any answer there is still a key and a database, and the list of what to fill in."""
    result = newsletter("init", tmp_path, env={"TZ": "Asia/Tokyo"})
    assert result.returncode == 0
    for name in ("NEWSLETTER_FROM", "NEWSLETTER_POSTAL_ADDRESS", "NEWSLETTER_BASE_URL"):
        assert name in result.stdout
        assert f"\n{name}=\n" in (tmp_path / ".env").read_text()
    assert "NEWSLETTER_TIME_ZONE='Asia/Tokyo'" in (tmp_path / ".env").read_text()
    assert (tmp_path / "data/newsletter.db").exists()
    with pytest.raises(InputError, match="3 settings are missing"):
        load_settings({}, tmp_path)


def test_a_wrong_option_writes_nothing(tmp_path: Path) -> None:
    """A value that the settings would refuse is refused before anything is made."""
    result = newsletter("init", tmp_path / "home", "--send-day=someday")
    assert result.returncode == 2
    assert "'someday' is not a weekday" in result.stderr
    assert not (tmp_path / "home").exists()


def test_the_environment_is_taken_over_but_not_its_secrets(tmp_path: Path) -> None:
    """What a container is given counts, and a secret that is kept out of files stays out of them."""
    env = {"NEWSLETTER_FROM": "env@example.com", "NEWSLETTER_SECRET_KEY": SECRET, "NEWSLETTER_SMTP_PASSWORD": "hidden"}
    result = newsletter("init", tmp_path, *GIVEN[1:], "--smtp-username=me", env=env)
    assert result.returncode == 0, result.stderr
    text = (tmp_path / ".env").read_text()
    assert "NEWSLETTER_FROM='env@example.com'" in text
    assert SECRET not in text
    assert "hidden" not in text
    # Without it, the next command would not find the database, or send no mail.
    kept = "Every command needs these of your environment: NEWSLETTER_SECRET_KEY, NEWSLETTER_SMTP_PASSWORD."
    assert kept in " ".join(result.stdout.split())
    assert installation_of(tmp_path).key_fingerprint == key_fingerprint(SECRET)


def test_a_login_without_its_password_is_still_to_be_filled_in(tmp_path: Path) -> None:
    """The password is never an option, so without a terminal it is left open and named."""
    result = newsletter("init", tmp_path, *GIVEN, "--smtp-username=me")
    assert result.returncode == 0, result.stderr
    assert "NEWSLETTER_SMTP_PASSWORD" in result.stdout


@pytest.mark.parametrize("begun", ["settings", "tables"])
def test_an_init_that_was_cut_short_is_finished(tmp_path: Path, begun: str) -> None:
    """Whatever the first run got done, the second one does the rest."""
    assert newsletter("init", tmp_path, *GIVEN).returncode == 0
    for file in (tmp_path / "data").iterdir():
        file.unlink()
    if begun == "tables":
        engine = connect(f"sqlite:///{tmp_path / 'data/newsletter.db'}")
        upgrade(engine)
        engine.dispose()
    cut_short = newsletter("-C", tmp_path, "db", "check")
    assert cut_short.returncode == 1
    assert "newsletter init" in cut_short.stderr
    result = newsletter("init", tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Created the database" in result.stdout
    assert newsletter("-C", tmp_path, "db", "check").returncode == 0


def test_a_database_without_its_key_gets_no_new_one(tmp_path: Path) -> None:
    """When the `.env` was lost, a fresh key would kill every link that went out, so nothing is written."""
    assert newsletter("init", tmp_path, *GIVEN).returncode == 0
    (tmp_path / ".env").rename(tmp_path / "kept.env")
    result = newsletter("init", tmp_path, *GIVEN)
    assert result.returncode == 1
    assert "Put the .env back" in result.stderr
    assert not (tmp_path / ".env").exists()


def test_a_key_that_the_database_does_not_know_is_refused(tmp_path: Path) -> None:
    """Another key is let in only beside the former one, and from then on it is the database's own."""
    assert newsletter("init", tmp_path, *GIVEN).returncode == 0
    former = load_settings({}, tmp_path).secret_key.get_secret_value()
    other = {"NEWSLETTER_SECRET_KEY": SECRET}
    refused = newsletter("-C", tmp_path, "db", "check", env=other)
    assert refused.returncode == 1
    assert "NEWSLETTER_SECRET_KEYS_OLD" in refused.stderr
    assert former not in refused.stderr
    assert SECRET not in refused.stderr
    rotated = newsletter("-C", tmp_path, "db", "check", env={**other, "NEWSLETTER_SECRET_KEYS_OLD": former})
    assert rotated.returncode == 0, rotated.stderr
    assert installation_of(tmp_path).key_fingerprint == key_fingerprint(SECRET)
    assert newsletter("-C", tmp_path, "db", "check").returncode == 1


def test_an_env_file_is_never_overwritten(tmp_path: Path) -> None:
    """Should one appear between the look and the writing, it wins."""
    (tmp_path / ".env").write_text("mine")
    with pytest.raises(Stop, match="was not changed"):
        write_env(tmp_path / ".env", "yours")
    assert (tmp_path / ".env").read_text() == "mine"


LINE = st.text(min_size=1).map(str.strip).filter(lambda text: bool(text) and text.isprintable())
PASSWORD = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1).filter(lambda text: text.strip())


@given(name=LINE, login=LINE, password=PASSWORD)
def test_every_value_comes_back_as_it_was(name: str, login: str, password: str) -> None:
    """Quotes, backslashes, # and newlines survive the `.env`."""
    values = {setting.name: setting.example or SECRET for setting in settings_help() if setting.required} | {
        "NEWSLETTER_NAME": name,
        "NEWSLETTER_SMTP_USERNAME": login,
        "NEWSLETTER_SMTP_PASSWORD": password,
        "NEWSLETTER_POSTAL_ADDRESS": 'It\'s a "house" # 1\n\\Street\\\nEnd\\',
    }
    with tempfile.TemporaryDirectory() as home:
        without_file = load_settings(values, Path(home))
        write_env(Path(home, ".env"), env_text(values))
        assert load_settings({}, Path(home)) == without_file


def test_the_zone_of_the_machine_is_found() -> None:
    """`TZ` beats the files, and a zone that does not exist is never proposed."""
    assert machine_zone({"TZ": ":Europe/Lisbon"}) == "Europe/Lisbon"
    assert machine_zone({"TZ": "EST5EDT,M3.2.0,M11.1.0"}) != "EST5EDT,M3.2.0,M11.1.0"


def converse(
    command: list[str], answers: list[tuple[str, str]], cwd: Path, *, columns: int = 80, end: str = ""
) -> tuple[int, str]:
    """Run a command on a terminal of its own, wait for each question and type its answer; `end` is typed last."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.environ.pop("COLUMNS", None)
        # A test that runs in the background of a shell has it ignored, and so would the command.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        os.execv(command[0], command)  # noqa: S606 the command of this project
    shown, waiting = "", [(question, f"{answer}\n") for question, answer in answers]
    if end:
        waiting.append((": ", end))
    seen = silent = 0
    while True:
        ready, _, _ = select.select([terminal], [], [], 1)
        silent = 0 if ready else silent + 1
        assert silent < LIMIT, f"no answer after: {shown}"
        if not ready:
            if end and not waiting:
                # Python misses a signal that comes right before it begins to read; a person presses the key again.
                os.write(terminal, end.encode())
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:
            data = b""
        if not data:
            break
        shown += data.decode(errors="replace")
        # The blank is the last thing written before an answer is read.
        if waiting and shown.endswith(": ") and waiting[0][0] in " ".join(shown[seen:].split()) + " ":
            seen = len(shown)
            os.write(terminal, waiting.pop(0)[1].encode())
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert not waiting, f"never asked: {waiting[0][0]}\n{shown}"
    return os.waitstatus_to_exitcode(status), shown


DIALOGUE = [
    ("1 of 7: Address that every mail comes from (such as", ""),
    ("An answer is needed here. 1 of 7: Address", "nobody"),
    ("@-sign. 1 of 7: Address", "Käse & Co <tips@example.com>"),
    ("2 of 7: Name of the newsletter [Käse & Co]:", ""),
    ("3 of 7: Postal address", "Example Society, 1 Example Street"),
    ("4 of 7: Public https address", "news.example.com"),
    ("Not accepted: 'news.example.com' is not a web address", "https://news.example.com"),
    ("5 of 7: Addresses that get alerts and reports, empty for none:", "admin@example.com"),
    ("6 of 7: Day, time and time zone of the mail [tuesday 09:00", "Tueday 9am"),
    ("did you mean tuesday? 6 of 7: Day", "Tue 7:30 am Europe/Vienna"),
    ("7 of 7: Host of the mail server", "smtp.example.net"),
    ("Encryption: starttls, tls (ssl) or none [starttls]:", "SSL"),
    ("Port [465]:", ""),
    ("Login, empty for none:", "me"),
    ("Password (not shown):", "it's \\ # secret"),
]


@pytest.mark.parametrize("columns", [80, 40])
def test_init_asks_on_a_terminal(tmp_path: Path, columns: int) -> None:
    """It counts its questions, says why it asks again, hides the password, and breaks lines between words."""
    code, shown = converse([*COMMAND, "init", "home"], DIALOGUE, tmp_path, columns=columns)
    assert code == 0, shown
    assert "# secret" not in shown
    dialogue, _, _ = shown.partition("Wrote ")
    lines = [line for line in dialogue.splitlines() if str(tmp_path) not in line]
    for typed in sorted((typed for _, typed in DIALOGUE), key=len, reverse=True):
        lines = [line.removesuffix(typed) for line in lines]
    assert max(map(len, lines)) <= columns
    settings = load_settings({}, tmp_path / "home")
    assert (settings.name, settings.from_email) == ("Käse & Co", "tips@example.com")
    assert settings.admin_emails == ("admin@example.com",)
    assert (settings.smtp_host, settings.smtp_port, settings.smtp_security) == ("smtp.example.net", 465, "tls")
    assert settings.smtp_password is not None
    assert settings.smtp_password.get_secret_value() == "it's \\ # secret"
    assert "It goes out every Tuesday at 07:30, Europe/Vienna" in " ".join(shown.split())
    assert "doctor" in shown


def test_answers_are_written_as_the_settings_understand_them(tmp_path: Path) -> None:
    """The `.env` has `tuesday`, `07:30` and `tls`, not what was typed; the first seven settings come first."""
    assert converse([*COMMAND, "init", "home"], DIALOGUE, tmp_path)[0] == 0
    text = (tmp_path / "home/.env").read_text()
    written = [line for line in text.splitlines() if line.startswith("NEWSLETTER_")]
    assert [line.partition("=")[0] for line in written][:7] == [question.setting for question in FIRST_QUESTIONS]
    assert "NEWSLETTER_FROM='tips@example.com'" in written
    for line in ("SEND_DAY='tuesday'", "SEND_TIME='07:30'", "TIME_ZONE='Europe/Vienna'", "SMTP_SECURITY='tls'"):
        assert f"NEWSLETTER_{line}" in written


def test_a_server_on_this_machine_needs_no_more_questions(tmp_path: Path) -> None:
    """Enter at the last of the seven questions ends the dialogue; options leave fewer to ask and to count."""
    asked = [("1 of 3: Addresses that get alerts", ""), ("2 of 3: Day, time", ""), ("3 of 3: Host", "")]
    code, shown = converse([*COMMAND, "init", "home", *GIVEN, "--name=Tips"], asked, tmp_path)
    assert code == 0, shown
    assert "Encryption" not in shown


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["ctrl-c", "end of input"])
def test_an_interrupted_dialogue_writes_nothing(tmp_path: Path, key: str) -> None:
    """Ctrl-C at any question leaves no folder, no `.env` and no database behind, and says so."""
    code, shown = converse(
        [*COMMAND, "init", "home"], [("1 of 7", "tips@example.com"), ("2 of 7", "")], tmp_path, end=key
    )
    assert code == 130, shown
    assert "Nothing was done" in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ("Tue 9am", {"DAY": "Tue", "TIME": "9am"}),
        ("9:30 p.m., Europe/Berlin", {"TIME": "9:30p.m.", "ZONE": "Europe/Berlin"}),
        ("Turkey", {"ZONE": "Turkey"}),
        ("thurs", {"DAY": "thurs"}),
        ("at noon", {"ZONE": "at noon"}),
    ],
)
def test_a_schedule_in_words(answer: str, values: dict[str, str]) -> None:
    """Day, time and zone are told apart in any order; a word that is none of them is not dropped."""
    names = {"DAY": "NEWSLETTER_SEND_DAY", "TIME": "NEWSLETTER_SEND_TIME", "ZONE": "NEWSLETTER_TIME_ZONE"}
    assert schedule_values(answer) == {names[part]: text for part, text in values.items()}


def test_options_are_written_in_the_usual_form(tmp_path: Path) -> None:
    """`--send-day Tue --send-time 9am` writes `tuesday` and `09:00`; a second run with either spelling is the same."""
    options = ("--send-day=Tue", "--send-time=9am", "--smtp-security=SSL", "--smtp-port=465")
    assert newsletter("init", tmp_path, "--from=Tips <tips@example.com>", *GIVEN[1:], *options).returncode == 0
    text = (tmp_path / ".env").read_text()
    for line in ("SEND_DAY='tuesday'", "SEND_TIME='09:00'", "SMTP_SECURITY='tls'", "NAME='Tips'"):
        assert f"\nNEWSLETTER_{line}\n" in text
    assert newsletter("init", tmp_path, *options).returncode == 0
    assert newsletter("init", tmp_path, "--send-day=tuesday", "--send-time=09:00").returncode == 0
    assert newsletter("init", tmp_path, "--send-day=Wed").returncode == 2
