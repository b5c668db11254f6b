"""Signing in at the running service: the mail through a real mail server, the code, the pages, the terminal."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_string, policy

import httpx

from newsletter.core.notice import NoticeKind, NoticeState
from newsletter.store import notice as notices
from newsletter.testing.catcher import Catcher
from tests.conftest import SHIFTED
from tests.path.conftest import MakeHome
from tests.path.home import Home, free_port, until

ADA = "ada@example.org"


def accepted_mails(home: Home, kind: NoticeKind) -> list[str]:
    """Return the text of each mail of a kind that the mail server has accepted."""
    with home.unit.read() as tx:
        items = notices.of_kind(tx, kind, [NoticeState.ACCEPTED], since=SHIFTED.now() - timedelta(hours=1))
    messages = [message_from_string(item.message, policy=policy.SMTP) for item in items]
    return [str(message.get_body(("plain",)).get_content()) for message in messages]  # type: ignore[attr-defined]


def cookies_of(*answers: httpx.Response) -> dict[str, str]:
    """Return the cookies of answers as a browser sends them to this machine."""
    lines = [line for answer in answers for line in answer.headers.get_list("Set-Cookie")]
    return {"Cookie": "; ".join(line.partition(";")[0] for line in lines)}


def test_an_admin_signs_in_at_the_service(make_sqlite_home: MakeHome) -> None:
    """Page, processor and sender work together: a mail goes out, its code opens the pages; so does a terminal link."""
    port = free_port()
    with Catcher() as catcher:
        home: Home = make_sqlite_home(
            catcher.port, 1, WEB_PORT=port, BASE_URL=f"http://127.0.0.1:{port}", WEB_PAGES="admin", ADMIN_EMAILS=ADA
        )
        service = home.start("run")
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            asked = client.post("/admin/sign-in", data={"email": ADA})
            assert asked.status_code == 303
            until(lambda: accepted_mails(home, NoticeKind.SIGN_IN) != [], service, "a mail with a code")
            [text] = accepted_mails(home, NoticeKind.SIGN_IN)
            [code] = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b", text)
            signed_in = client.post("/admin/sign-in/code", data={"code": code}, headers=cookies_of(asked))
            session = cookies_of(signed_in)
            assert "How things stand" in client.get("/admin/", headers=session).text
            assert "NEWSLETTER_WEB_PAGES" in client.get("/admin/settings", headers=session).text
            _, printed = home.run("admin", "sign-in", ADA)
            [path] = re.findall(r"http://127\.0\.0\.1:\d+(/admin/in/\S+)", printed)
            by_terminal = client.post(path)
            assert "this browser" in client.get("/admin/sessions", headers=cookies_of(by_terminal)).text
        until(lambda: len(accepted_mails(home, NoticeKind.NEW_BROWSER)) == 2, service, "mails about two browsers")
        service.process.terminate()
        assert service.wait() == 0, service.words
