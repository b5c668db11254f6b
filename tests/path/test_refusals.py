"""A whole edition through a mail server that refuses, defers and hangs up; judged by what it received."""

from __future__ import annotations

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.store import subscriber_count
from newsletter.testing.catcher import DROP, Catcher, Keep, Step
from tests.edition_fixtures import add_tip
from tests.path.conftest import MakeHome


def number(address: str) -> int:
    """Return the number of a person."""
    return int(address.removeprefix("p").partition("@")[0])


def unknown(person: int) -> bool:
    """Tell whether the server has no such mailbox: fewer than what pauses an edition."""
    return person % 100 == 7


def doubtful(person: int) -> bool:
    """Tell whether the server takes the whole message and hangs up instead of saying so."""
    return person % 200 == 41


def delayed(person: int) -> bool:
    """Tell whether the server asks to come again, at the address or at the end of the message."""
    return person % 50 == 13 or person % 200 == 91


def behave(step: Step, address: str, nth: int) -> str | None:
    """Refuse some, defer some at the first try, and hang up now and then at every step."""
    if step is Step.MAIL:
        return DROP if nth % 150 == 0 else None
    person = number(address)
    if step is Step.RCPT and unknown(person):
        return "550 5.1.1 No such user here"
    if step is Step.DOT and doubtful(person):
        return DROP
    if nth > 1:
        return None
    first = {
        (Step.RCPT, person % 50 == 13): "451 4.7.1 Greylisted, come again",
        (Step.DATA, person % 100 == 29): DROP,
        (Step.DOT, person % 200 == 91): "451 4.3.0 Try again later",
    }
    return first.get((step, True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "people"),
    [
        pytest.param("make_sqlite_home", 2000, id="sqlite"),
        pytest.param("make_postgres_home", 400, id="postgres", marks=pytest.mark.postgres),
    ],
    indirect=["make"],
)
def test_everybody_is_accounted_for(make: MakeHome, people: int) -> None:
    """Whatever the server does, whoever it took gets one mail, and the books say of each what the server said."""
    everybody = {f"p{n}@example.com": n for n in range(people)}
    refused = {email for email, n in everybody.items() if unknown(n)}
    unsure = {email for email, n in everybody.items() if doubtful(n)}
    waiting = {email for email, n in everybody.items() if delayed(n)}
    with Catcher(script=behave, keep=Keep.COUNTS) as catcher:
        home = make(catcher.port, people)
        code, words = home.run("edition", "send", "--now", "--yes")
        assert code == 0, words
        receipt = home.receipt()
        assert receipt.balances
        assert (receipt.counts.deferred, receipt.counts.queued, receipt.counts.sending) == (len(waiting), 0, 0)
        assert {email for email, state in home.states().items() if state is DeliveryState.DEFERRED} == waiting
        assert home.run("edition", "retry", "last")[0] == 0
        code, words = home.run("edition", "send", "--yes")
        assert code == 0, words
        # The judge: one mail for everybody whom the server took, none for those it does not know.
        assert catcher.accepted == dict.fromkeys(everybody.keys() - refused, 1)

    receipt = home.receipt()
    assert receipt.balances
    assert receipt.edition.status is EditionStatus.FINISHED
    assert (receipt.counts.rejected, receipt.counts.uncertain) == (len(refused), len(unsure))
    assert receipt.counts.accepted == people - len(refused) - len(unsure)
    rejected = home.ask("delivery", "list", "--edition", "last", "--state", "rejected")
    assert {row["email"]: row["server"] for row in rejected} == dict.fromkeys(refused, "550 5.1.1 No such user here")
    uncertain = home.ask("delivery", "list", "--edition", "last", "--state", "uncertain")
    assert {row["email"] for row in uncertain} == unsure
    assert all("closed the connection" in str(row["server"]) for row in uncertain)
    tried = {email: row.attempts for email, row in home.rows().items()}
    assert {email for email, attempts in tried.items() if attempts != 1} == waiting

    with home.unit.read() as tx:
        assert subscriber_count.active(tx) == people - len(refused)
    add_tip(home.unit, "another-tip")
    [planned] = home.ask("edition", "send", "--now", "--dry-run")
    assert planned["audience"] == people - len(refused)
