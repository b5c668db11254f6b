"""`newsletter doctor`: what it finds, what it says to do, and what it never does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import NamedTuple

import pytest

from newsletter.cli.main import main
from newsletter.core.cadence import Cadence, SlotState, describe_date, next_slots
from newsletter.core.monitor import ServicePart
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation
from newsletter.store import slot as slots
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import START
from tests.conftest import SECRET, SHIFTED
from tests.transport.dns_server import DnsServer, serving

PASSWORD = "pa55-that-nobody-sees"


class Diagnosis(NamedTuple):
    """What the doctor printed."""

    code: int
    output: str
    findings: list[dict[str, str]]

    def of(self, about: str, level: str = "") -> list[str]:
        """Return the texts about one thing, with what to do."""
        return [
            f"{one['text']} → {one['todo']}"
            for one in self.findings
            if one["about"] == about and level in {"", one["level"]}
        ]


@pytest.fixture
def server() -> Iterator[Catcher]:
    """Return a mail server that wants a login."""
    with Catcher(login=("me", PASSWORD)) as running:
        yield running


@pytest.fixture
def values(sqlite_url: str, server: Catcher) -> dict[str, str]:
    """Return settings with which everything works, for a database that stands."""
    return {
        "NEWSLETTER_FROM": "tips@newsletter.example.com",
        "NEWSLETTER_POSTAL_ADDRESS": "Example Society, 1 Example Street",
        "NEWSLETTER_BASE_URL": "https://news.example.com",
        "NEWSLETTER_SECRET_KEY": SECRET,
        "NEWSLETTER_DATABASE_URL": sqlite_url,
        "NEWSLETTER_SMTP_HOST": server.host,
        "NEWSLETTER_SMTP_PORT": str(server.port),
        "NEWSLETTER_SMTP_SECURITY": "none",
        "NEWSLETTER_SMTP_USERNAME": "me",
        "NEWSLETTER_SMTP_PASSWORD": PASSWORD,
    }


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function that runs the doctor with settings of the environment; it says its exit code and output."""

    def call(values: dict[str, str], *options: str) -> tuple[int, str]:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["newsletter", "-C", str(tmp_path), "doctor", *options])
        with pytest.raises(SystemExit) as ended:
            main(SHIFTED)
        captured = capsys.readouterr()
        assert captured.err == ""
        return int(ended.value.code or 0), captured.out

    return call


@pytest.fixture
def doctor(values: dict[str, str], run: Callable[..., tuple[int, str]]) -> Callable[..., Diagnosis]:
    """Return a function that asks the doctor, in JSON, with some settings changed."""

    def ask(**changed: str) -> Diagnosis:
        code, output = run(values | {f"NEWSLETTER_{name}": value for name, value in changed.items()}, "--json")
        data = json.loads(output)
        assert data["ok"] == (code == 0)
        for secret in (SECRET, PASSWORD):
            assert secret not in output
        return Diagnosis(code, output, data["findings"])

    return ask


def test_nothing_fails_where_all_works(doctor: Callable[..., Diagnosis], server: Catcher) -> None:
    """Nothing fails, the login is tried for real, the next slots are told, and no mail is sent."""
    diagnosis = doctor()
    assert diagnosis.code == 0, diagnosis.output
    assert "logged in as me" in diagnosis.of("mail server", "ok")[0]
    assert "no PIPELINING" in diagnosis.of("mail server", "ok")[0]
    assert len(diagnosis.of("date", "ok")) == 3
    assert all("Tuesday" in slot and "on this machine" in slot for slot in diagnosis.of("date"))
    assert diagnosis.of("templates", "ok")
    assert diagnosis.of("database", "ok")
    assert server.caught == []


def test_the_dns_is_looked_up(doctor: Callable[..., Diagnosis]) -> None:
    """What is missing is told with the record to publish; names for examples are not looked up without a server."""
    assert "a name for examples" in doctor().of("DNS", "ok")[0]
    zone = {
        ("newsletter.example.com", "TXT"): ['"v=spf1 a:mail.example.com -all"'],
        ("newsletter.example.com", "MX"): ["10 mail.example.com."],
    }
    with serving(DnsServer(zone)) as server:
        diagnosis = doctor(DNS_SERVERS=server.address)
    assert diagnosis.code == 1
    assert "newsletter.example.com: 1 of 10 look-ups" in diagnosis.of("SPF", "ok")[0]
    assert 'publish _dmarc.newsletter.example.com TXT "v=DMARC1; p=none' in diagnosis.of("DMARC", "fail")[0]
    assert diagnosis.of("MX", "ok") == ["newsletter.example.com: mail.example.com → "]


def test_a_date_that_was_sent_early_or_skipped_is_not_coming(
    doctor: Callable[..., Diagnosis], sqlite_unit: Unit
) -> None:
    """The next three are those that still come."""
    days = next_slots(Cadence(weekday=1, at=time(9), zone="America/New_York"), SHIFTED.now(), 5)
    with sqlite_unit.write() as tx:
        for slot, state in zip(days, (SlotState.FROZEN, SlotState.SKIPPED), strict=False):
            slots.add(tx, replace(slot, state=state), now=SHIFTED.now())
    coming = doctor().of("date", "ok")
    assert [text.partition(",")[0] for text in coming] == [describe_date(slot.date) for slot in days[2:]]


def test_it_speaks_to_people_too(values: dict[str, str], run: Callable[..., tuple[int, str]]) -> None:
    """Each line begins with its level, and the last one sums up."""
    code, output = run(values)
    lines = output.splitlines()
    assert code == 0
    assert lines[0].startswith("ok    settings")
    assert lines[-1].startswith("Nothing is broken; ")


def test_what_an_empty_installation_lacks_is_a_warning(doctor: Callable[..., Diagnosis]) -> None:
    """Without people, tips and a running service nothing is broken, and a person knows what to do next."""
    diagnosis = doctor()
    assert "subscriber import" in diagnosis.of("subscribers", "warn")[0]
    assert "tip import" in diagnosis.of("tips", "warn")[0]
    assert "newsletter run" in diagnosis.of("scheduler", "warn")[0]
    assert "newsletter run" in diagnosis.of("sender", "warn")[0]
    assert "example" in diagnosis.of("public address", "warn")[0]
    assert "NEWSLETTER_ADMIN_EMAILS" in diagnosis.of("alerts", "warn")[0]
    assert doctor(ADMIN_EMAILS="admin@example.com").of("alerts") == []


def test_all_mistakes_of_the_settings_are_reported(doctor: Callable[..., Diagnosis]) -> None:
    """Every wrong setting is a line, not only the first."""
    diagnosis = doctor(SEND_DAY="someday", SMTP_PORT="many", FORM="tips@example.com")
    assert diagnosis.code == 1, diagnosis.output
    assert len(diagnosis.of("settings", "fail")) == 3


def test_a_wrong_password_is_reported_but_not_shown(doctor: Callable[..., Diagnosis]) -> None:
    """The mail server's refusal is repeated, the password is not."""
    diagnosis = doctor(SMTP_PASSWORD="another-wrong-one")
    assert diagnosis.code == 1, diagnosis.output
    assert "refuses the login of me" in diagnosis.of("mail server", "fail")[0]
    assert "another-wrong-one" not in diagnosis.output


def test_a_second_mail_server_is_tried_as_well(doctor: Callable[..., Diagnosis], server: Catcher) -> None:
    """It is logged in to like the first one; one that does not work is a warning, since mail goes out without it."""
    assert doctor().of("second server") == []
    spare = {"FALLBACK_SMTP_HOST": server.host, "FALLBACK_SMTP_PORT": str(server.port)}
    login = {"FALLBACK_SMTP_USERNAME": "me", "FALLBACK_SMTP_PASSWORD": PASSWORD}
    diagnosis = doctor(**spare, **login, FALLBACK_SMTP_SECURITY="none")
    assert "logged in as me" in diagnosis.of("second server", "ok")[0]
    diagnosis = doctor(FALLBACK_SMTP_PASSWORD="wrong")
    assert diagnosis.code == 0
    assert "refuses the login of me" in diagnosis.of("second server", "warn")[0]
    assert "NEWSLETTER_FALLBACK_SMTP_*" in diagnosis.of("second server", "warn")[0]


def test_a_mail_server_that_is_not_there_is_reported(doctor: Callable[..., Diagnosis]) -> None:
    """The rest is looked at all the same."""
    diagnosis = doctor(SMTP_PORT="1")
    assert diagnosis.code == 1, diagnosis.output
    assert "nothing listens there" in diagnosis.of("mail server", "fail")[0]
    assert diagnosis.of("templates", "ok")


def test_a_missing_database_is_reported(doctor: Callable[..., Diagnosis], tmp_path: Path) -> None:
    """It is not made by the way."""
    diagnosis = doctor(DATABASE_URL=f"sqlite:///{tmp_path}/none.db")
    assert diagnosis.code == 1, diagnosis.output
    assert "newsletter init" in diagnosis.of("database", "fail")[0]
    assert not (tmp_path / "none.db").exists()


def test_a_key_the_database_does_not_know_is_reported(doctor: Callable[..., Diagnosis]) -> None:
    """It fails with both fingerprints; a key that was changed on purpose does not."""
    other = "another secret of enough characters"
    diagnosis = doctor(SECRET_KEY=other)
    assert diagnosis.code == 1, diagnosis.output
    assert "NEWSLETTER_SECRET_KEYS_OLD" in diagnosis.of("secret key", "fail")[0]
    assert doctor(SECRET_KEY=other, SECRET_KEYS_OLD=SECRET).code == 0


def test_looking_changes_nothing(doctor: Callable[..., Diagnosis], sqlite_unit: Unit) -> None:
    """A changed key is taken over by the commands that work, not by the doctor."""
    with sqlite_unit.read() as tx:
        before = installation.get(tx)
    doctor(SECRET_KEY="another secret of enough characters", SECRET_KEYS_OLD=SECRET)
    with sqlite_unit.read() as tx:
        assert installation.get(tx) == before


def test_a_broken_template_of_the_operator_is_found(doctor: Callable[..., Diagnosis], tmp_path: Path) -> None:
    """A slip in an override is named with its file before a Tuesday finds it."""
    own = tmp_path / "own" / "email" / "edition"
    own.mkdir(parents=True)
    (own / "body.txt").write_text("{{ nonsense }}")
    diagnosis = doctor(TEMPLATES_DIR=str(tmp_path / "own"))
    assert diagnosis.code == 1, diagnosis.output
    assert "body.txt" in diagnosis.of("templates", "fail")[0]


def test_a_dead_service_is_reported_with_its_last_sign_of_life(
    doctor: Callable[..., Diagnosis], sqlite_unit: Unit
) -> None:
    """A heartbeat that stopped is a warning with its date."""
    with sqlite_unit.write() as tx:
        heartbeats.record(tx, ServicePart.SENDER, now=START, process="elsewhere 7")
    assert "not running: last heartbeat Sunday 1 November 2026" in doctor().of("sender", "warn")[0]


def test_an_env_file_for_all_to_read_is_reported(
    values: dict[str, str], run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """The file with the secret key is for its owner only."""
    (tmp_path / ".env").write_text("")
    (tmp_path / ".env").chmod(0o644)
    assert "chmod 600" in run(values)[1]
    (tmp_path / ".env").chmod(0o600)
    assert "chmod 600" not in run(values)[1]


def test_a_clock_that_went_back_is_reported(doctor: Callable[..., Diagnosis], sqlite_unit: Unit) -> None:
    """A machine whose clock is behind the birth of its database would send at wrong times."""
    with sqlite_unit.write() as tx:
        tx.exec_driver_sql("UPDATE installation SET created_at = '2199-01-01 00:00:00.000000'")
    diagnosis = doctor()
    assert diagnosis.code == 1, diagnosis.output
    assert "set the clock" in diagnosis.of("time", "fail")[0]


def test_the_webhooks_are_looked_at(doctor: Callable[..., Diagnosis]) -> None:
    """Those in use are named; a key that is none is a failure with the name of its setting."""
    assert "/hooks/brevo" in doctor(WEBHOOK_BREVO_TOKENS="t" * 32).of("webhooks", "ok")[0]
    bad = doctor(WEBHOOK_SENDGRID_KEYS="nonsense")
    assert (bad.code, "NEWSLETTER_WEBHOOK_SENDGRID_KEYS" in bad.of("webhooks", "fail")[0]) == (1, True)
