"""Whatever strangers type and send is answered: with a sentence or an escaped text, and never with a fault of ours."""

from __future__ import annotations

import string
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.testing.clocks import FixedClock
from tests.web.conftest import Ask
from tests.web.signup_fixtures import stamp_of

SCRIPT = "<script>alert(1)</script>"
nasty = st.sampled_from(
    (
        *(SCRIPT, '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "{name}", "%s%n", "\x00", "\r\nBcc: x@example.net"),
        *("\u202eevil", "\ufeff", "é" * 300, "a" * 20_000, "' OR 1=1 --", "../../etc/passwd", "☃" * 90),
    )
)
typed = st.text(max_size=60) | nasty | st.emails()
header = st.text(string.digits + string.ascii_letters + string.punctuation + " \t", max_size=60)
HEADERS = (
    *("X-Forwarded-For", "Cookie", "Origin", "Referer", "Content-Type"),
    *("If-None-Match", "Accept", "Host", "Range"),
)
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@relaxed
@given(
    fields=st.fixed_dictionaries({"email": typed, "first_name": typed, "time_zone": typed}),
    further=st.dictionaries(typed, typed, max_size=4),
)
def test_any_form_is_answered(ask: Ask, clock: FixedClock, fields: dict[str, str], further: dict[str, str]) -> None:
    """Names, addresses and fields of any kind: a page without what was typed as markup."""
    stamp = stamp_of(ask("GET", "/subscribe").text)
    clock.turn(minutes=20)
    sent = {**further, **fields, "shown": stamp}
    answer = ask("POST", "/subscribe", data={clean(name): clean(value) for name, value in sent.items()})
    assert answer.status_code in {303, 422, 429}
    assert SCRIPT not in answer.text
    assert "<img src=x" not in answer.text


@relaxed
@given(value=typed, act=st.sampled_from(("name", "zone", "pause", "address")))
def test_any_value_of_a_setting_is_answered(ask: Ask, private: str, value: str, act: str) -> None:
    """Behind a genuine private link: as text on the page, or a sentence against it."""
    fields = dict.fromkeys(("value", "until", "afterwards"), clean(value))
    assert ask("POST", f"{private}/{act}", data=fields).status_code in {303, 422}
    page = ask("GET", private)
    assert (page.status_code, SCRIPT in page.text) == (200, False)


@relaxed
@given(token=typed, area=st.sampled_from(("c", "p", "u", "me", "undo", "address", "block")))
def test_any_token_is_answered(ask: Ask, token: str, area: str) -> None:
    """Whatever stands where a token should, it opens nothing."""
    for method in ("GET", "POST"):
        answer = ask(method, f"/{area}/{quote(clean(token), safe='')}")
        assert answer.status_code in {404, 405}
        assert SCRIPT not in answer.text


@relaxed
@given(
    headers=st.dictionaries(st.sampled_from(HEADERS), header, max_size=5),
    body=st.binary(max_size=300),
    method=st.sampled_from(("GET", "HEAD", "POST", "OPTIONS", "PUT")),
)
def test_any_header_and_body_is_answered(ask: Ask, headers: dict[str, str], body: bytes, method: str) -> None:
    """On the pages that everybody may open."""
    stripped = {name: value.strip() for name, value in headers.items()}
    for path in ("/subscribe", "/subscribe/sent", "/subscribe/again", "/api/v1/signups", "/puzzle", "/privacy"):
        assert ask(method, path, headers=stripped, content=body).status_code < 500


def clean(text: str) -> str:
    """Return what a browser can send: text without halves of characters."""
    return text.encode("utf-8", "replace").decode()
