"""`newsletter demo`: the whole path on throwaway data."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from newsletter.cli.demo_archive import past_tips
from newsletter.cli.demo_stage import FakeReplies
from newsletter.cli.sample import sample_subscribers, sample_tips
from newsletter.core.tip_file import parse_tip_file
from newsletter.testing.catcher import Step
from newsletter.testing.clocks import START, TurnedClock


def newsletter(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "newsletter", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Play it once, where the settings of somebody else lie about; return its folder and what it said."""
    folder = tmp_path_factory.mktemp("here")
    (folder / ".env").write_text("NEWSLETTER_SMTP_HOST=never.example.net\nnonsense\n")
    result = newsletter("demo", "--keep", "kept", cwd=folder, env={"NEWSLETTER_SEND_DAY": "someday"})
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    return folder / "kept", result.stdout


def test_the_report_adds_up(demo: tuple[Path, str]) -> None:
    """Everybody but the one whose mailbox is gone has the mail at the end, and the report says so."""
    home, output = demo
    report = json.loads(newsletter("-C", home, "edition", "show", "last", "--json", cwd=home).stdout)
    assert (report["audience"], report["accepted"], report["rejected"], report["gap"]) == (25, 24, 1, 0)
    assert report["status"] == "finished"
    assert "24 of 25 handed to your mail provider" in output
    assert "The mail server's own count agrees: 24 mails, none twice." in output


def test_the_one_that_waits_is_shown_and_tried_again(demo: tuple[Path, str]) -> None:
    """First the report says who waits until when; then the clock is turned and the server takes it."""
    _, output = demo
    waits = output.index("1 person waits for another try; the next is at Tuesday")
    assert "451 4.7.1" in output[:waits]
    assert waits < output.index("this time the server took it") < output.index("24 of 25 handed")


def test_the_mails_can_be_looked_at(demo: tuple[Path, str]) -> None:
    """Each mail is there three times, and the one that is named opens with its person's links."""
    home, output = demo
    mails = sorted((home / "mails").glob("*.eml"))
    assert len(mails) == 24
    for mail in mails:
        assert mail.with_suffix(".html").stat().st_size > 1000
        assert mail.with_suffix(".txt").stat().st_size > 200
    match = re.search(r"In a browser, the first mail: +(\S+)", output)
    assert match is not None
    assert "https://news.example.com/u/" in Path(match[1]).read_text(encoding="utf-8")
    message = email.message_from_bytes(mails[0].read_bytes(), policy=email.policy.default)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_what_it_leaves_behind_can_be_explored(demo: tuple[Path, str]) -> None:
    """The commands it names work on its folder, and its books balance."""
    home, output = demo
    assert "delivery list" in output
    assert newsletter("-C", home, "delivery", "list", cwd=home).returncode == 0
    assert newsletter("-C", home, "db", "check", cwd=home).returncode == 0


def test_the_pages_of_a_year_are_served_until_ctrl_c(tmp_path: Path) -> None:
    """With --serve a year of editions lies before the one that is shown, and its pages are there until Ctrl-C."""
    command = [sys.executable, "-m", "newsletter", "demo", "--serve", "--keep", "kept"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            shown = ""
            for line in process.stdout:
                shown += line
                if "Ctrl-C ends it" in line:
                    break
            address = re.search(r"http://127\.0\.0\.1:\d+/", shown)
            assert address is not None, shown
            assert "52 editions, 1,300 mails" in shown
            with httpx.Client(base_url=address[0], timeout=20) as client:
                archive = client.get("/").text
                assert "Answer with a date" in archive or "A year in one page" in archive
                assert client.get("subscribe").status_code == 200
                assert client.get("admin/").status_code == 303
                link = re.search(r"/admin/in/\S+", shown)
                assert link is not None, shown
                assert client.post(link[0], headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    check = newsletter("-C", tmp_path / "kept", "db", "check", cwd=tmp_path)
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_tips_of_the_year_differ() -> None:
    """Each of the 52 past tips has a title of its own, topics and a text."""
    drafts = [parse_tip_file(tip.text, file_name=tip.name) for tip in past_tips()]
    assert len({draft.title for draft in drafts}) == 52
    assert all(draft.tags and len(draft.body) > 100 for draft in drafts)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    """Throwaway data never goes among somebody's own."""
    (tmp_path / "mine.txt").write_text("mine")
    result = newsletter("demo", "--keep", tmp_path, cwd=tmp_path)
    assert result.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_samples_are_found() -> None:
    """There is something to play with, wherever the program is installed."""
    assert len(sample_tips()) >= 12
    assert sample_subscribers().is_file()


def test_the_clock_of_the_demo_goes_on_after_it_was_turned() -> None:
    """It shows the time it was turned to, and then later ones."""
    clock = TurnedClock()
    clock.turn_to(START)
    first, second = clock.now(), clock.now()
    assert START <= first <= second
    assert (second - START).total_seconds() < 60


def test_the_mail_server_asks_for_patience_once() -> None:
    """The one address is refused every time, the other one only at first, and nobody else at all."""
    server = FakeReplies(gone="a@example.com", later="b@example.com")
    assert [(server(Step.RCPT, "a@example.com", nth) or "")[:3] for nth in (1, 2)] == ["550", "550"]
    assert [(server(Step.RCPT, "b@example.com", nth) or "")[:3] for nth in (1, 2)] == ["451", ""]
    assert server(Step.RCPT, "c@example.com", 1) is None
    assert server(Step.DOT, "a@example.com", 1) is None
