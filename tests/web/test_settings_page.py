"""A person's own settings by the private link, on a real server and in a real browser."""

from __future__ import annotations

import re
from email import message_from_string, policy

import pytest
from playwright.sync_api import Browser

from newsletter.core.delivery import DeliveryState
from newsletter.core.subscriber import SubscriberState
from newsletter.store import notice as notices
from newsletter.testing.clocks import FixedClock
from tests.flows.people_fixtures import begin_edition, get, set_delivery
from tests.web.conftest import LOWEST_CONTRAST, Ask, Reader, Visit, WebParts
from tests.web.signup_fixtures import cookie_of, mail_to, processor_of


def test_the_link_of_a_mail_opens_nothing_by_itself(
    ask: Ask, parts: WebParts, reader: Reader, clock: FixedClock
) -> None:
    """A forwarded mail leads to a button that mails the private link to the person alone."""
    page = ask("GET", f"/p/{reader.token}")
    assert "a***@example.com" in page.text
    assert ask("GET", f"/me/{reader.token}").status_code == 404
    assert "Look into your mailbox" in ask("POST", f"/p/{reader.token}").text
    processor_of(parts).work(clock.now())
    with parts.unit.read() as tx:
        [notice] = notices.to_addresses(tx, ["ann@example.com"])
    message = message_from_string(notice.message, policy=policy.SMTP)
    text = str(message.get_body(("plain",)).get_content())  # type: ignore[attr-defined]
    path = text.partition("https://news.example.com")[2].split()[0]
    assert "Your settings" in ask("GET", path).text
    assert ask("POST", "/p/forged").status_code == 404


def test_each_form_saves_alone(ask: Ask, reader: Reader, private: str) -> None:
    """The answer is a redirect to the page, which says so."""
    answer = ask("POST", f"{private}/name", data={"value": "Ann <b>"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{private}?saved")
    page = ask("GET", f"{private}?saved")
    assert "Saved." in page.text
    assert 'value="Ann &lt;b&gt;"' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    ask("POST", f"{private}/pause")
    assert reader.state is SubscriberState.PAUSED
    assert "Paused until Sunday 29 November 2026" in ask("GET", private).text
    assert "The tips of your pause come afterwards" not in ask("GET", private).text
    ask("POST", f"{private}/resume")
    assert reader.state is SubscriberState.ACTIVE
    ask("POST", f"{private}/pause", data={"until": "2026-12-24", "afterwards": "catch-up"})
    page = ask("GET", private)
    assert "Paused until Thursday 24 December 2026" in page.text
    assert "The tips of your pause come afterwards" in page.text
    ask("POST", f"{private}/resume")
    assert "Skip the missed tips" in ask("GET", private).text
    ask("POST", f"{private}/skip")
    assert "Skip the missed tips" not in ask("GET", private).text
    late = ask("POST", f"{private}/pause", data={"until": "2026-10-31"})
    assert (late.status_code, "from tomorrow on" in late.text) == (422, True)
    ask("POST", f"{private}/leave")
    assert reader.state is SubscriberState.UNSUBSCRIBED
    assert "Subscribe again" in ask("GET", private).text
    refused = ask("POST", f"{private}/pause")
    assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)


def test_the_history_is_in_words(ask: Ask, parts: WebParts, reader: Reader, private: str) -> None:
    """What became of each mail, with the words of the reader's server as text, and what to do when none arrives."""
    person = get(parts.unit, reader.id)
    refused = {"reply_code": 550, "reply_text": "<b>no such box</b>"}
    set_delivery(parts.unit, begin_edition(parts.unit), person, DeliveryState.REJECTED, **refused)
    text = ask("GET", private).text
    assert "Tuesday 3 November 2026: Your mail server refused it." in text
    assert "Its words: “550 &lt;b&gt;no such box&lt;/b&gt;”" in text
    assert "Not arriving?" in text
    assert "Add tips@news.example.com to your contacts." in text


def test_the_data_is_a_file(ask: Ask, private: str) -> None:
    """Everything that is known, as an attachment that no page can render."""
    answer = ask("GET", f"{private}/data.json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    assert answer.json()["email"] == "ann@example.com"


def test_erasing_asks_first(ask: Ask, reader: Reader, private: str) -> None:
    """The link leads to a page of its own; afterwards the private link shows nothing."""
    assert "Delete everything about you?" in ask("GET", f"{private}/erase").text
    assert reader.state is SubscriberState.ACTIVE
    assert "Everything is deleted" in ask("POST", f"{private}/erase").text
    assert reader.state is None
    assert ask("GET", private).status_code == 410
    assert ask("GET", f"{private}/data.json").status_code == 410
    assert ask("POST", f"{private}/leave").status_code == 422


def test_a_private_link_ends_after_a_day(ask: Ask, reader: Reader, private: str, clock: FixedClock) -> None:
    """Nothing is shown or changed by it afterwards, nor by one that was made up."""
    assert ask("GET", f"{private}/other").status_code == 404
    assert ask("POST", f"{private}/other").status_code == 404
    clock.turn(days=1)
    for method, path in (("GET", private), ("POST", f"{private}/leave"), ("GET", f"{private}/data.json")):
        assert ask(method, path).status_code == 410
    assert ask("POST", "/me/forged/leave").status_code == 404
    assert reader.state is SubscriberState.ACTIVE


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_settings_can_be_read_and_pressed(visit: Visit, reader: Reader, private: str, scheme: str) -> None:
    """On a narrow screen, in both colour schemes, a pause is one press."""
    page = visit(private, width=320, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    lowest = page.evaluate(LOWEST_CONTRAST)
    assert lowest["ratio"] >= 4.5, lowest["text"]
    page.get_by_label("Pause until").fill("2026-12-24")
    page.get_by_label("Send them to me afterwards").check()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    assert reader.state is SubscriberState.PAUSED


def address_link(parts: WebParts, email: str) -> str:
    """Return the path of the link in the newest mail to an address."""
    return re.findall(r"https://news\.example\.com(/address/\S+)", mail_to(parts, email))[0]


def test_a_new_address_is_confirmed_where_it_is(
    ask: Ask, parts: WebParts, reader: Reader, private: str, clock: FixedClock
) -> None:
    """GET changes nothing; the browser that asked presses by itself, another one has a button."""
    wrong = ask("POST", f"{private}/address", data={"value": "ann"})
    assert (wrong.status_code, "there is no @ sign" in wrong.text) == (422, True)
    same = ask("POST", f"{private}/address", data={"value": "ann@example.com"})
    assert (same.status_code, "the address that you have" in same.text) == (422, True)
    answer = ask("POST", f"{private}/address", data={"value": "ann@work.example"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{private}?asked")
    assert "We wrote to the new address" in ask("GET", f"{private}?asked").text
    processor_of(parts).work(clock.now())
    link = address_link(parts, "ann@work.example")
    assert "data-press" not in ask("GET", link).text
    assert "data-press" in ask("GET", link, headers=cookie_of(answer)).text
    assert "Your address is changed" in ask("POST", link).text
    assert "This link was used before" in ask("POST", link).text
    processor_of(parts).work(clock.now())
    assert "no longer to this address" in " ".join(mail_to(parts, "ann@example.com").split())
    assert "a***@work.example" in ask("GET", private).text
    assert ask("GET", "/address/forged").status_code == 404
    clock.turn(days=1)
    assert ask("GET", link).status_code == 410


@pytest.mark.browser
def test_the_browser_that_asked_changes_the_address_by_itself(
    browser: Browser, visit: Visit, parts: WebParts, private: str, clock: FixedClock
) -> None:
    """Typing the address and opening the link in its mail is all that is needed."""
    context = browser.new_context()
    page = visit(private, context=context)
    page.get_by_label("New e-mail address").fill("ann@work.example")
    page.get_by_role("button", name="Change the address").click()
    page.get_by_text("We wrote to the new address").wait_for()
    processor_of(parts).work(clock.now())
    changed = visit(address_link(parts, "ann@work.example"), context=context)
    changed.get_by_role("heading", name="Your address is changed").wait_for()
    context.close()
