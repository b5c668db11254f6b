"""Signing up at the running service: the form, the mail through a real mail server, the link, the welcome."""

from __future__ import annotations

import re
from email import message_from_string, policy

import httpx

from newsletter.store import notice as notices
from newsletter.testing.catcher import Catcher
from tests.path.conftest import MakeHome
from tests.path.home import Home, Watch, free_port

ADA = "ada@example.org"
SITE = "https://www.example.com"


def texts(home: Home) -> list[str]:
    """Return the text of each mail to the reader, in order."""
    with home.unit.read() as tx:
        parsed = [message_from_string(item.message, policy=policy.SMTP) for item in notices.to_addresses(tx, [ADA])]
    return [str(message.get_body(("plain",)).get_content()) for message in parsed]  # type: ignore[attr-defined]


def test_a_reader_signs_up_at_the_service(make_home: MakeHome) -> None:
    """Pages, processor and sender work together: two mails go out, and the reader is on the list after the press."""
    watch, port = Watch(), free_port()
    with Catcher(script=watch) as catcher:
        home: Home = make_home(
            catcher.port, 1, WEB_PORT=port, BASE_URL=f"http://127.0.0.1:{port}", HOME_URL=SITE, WEB_PAGES="all"
        )
        service = home.start("run")
        # It connects again, at growing intervals, until the service listens.
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            answer = client.post("/subscribe", data={"email": ADA}, headers={"Origin": SITE})
            assert answer.status_code == 303
            watch.wait_for(1)
            [confirmation] = texts(home)
            [link] = re.findall(r"http://127\.0\.0\.1:\d+(/c/\S+)", confirmation)
            assert "not subscribed yet" in client.get(link).text
            assert "You are subscribed" in client.post(link).text
        watch.wait_for(2)
        assert "From now on Tip of the Week comes to this address" in " ".join(texts(home)[1].split())
        service.process.terminate()
        assert service.wait() == 0, service.words
