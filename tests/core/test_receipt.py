"""The receipt: it adds up or says so, and every count has its sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.receipt import Receipt, uncertain_sentence
from tests.core.edition_samples import EDITION, edition_of

FULL = Receipt(
    edition=EDITION,
    counts=DeliveryCounts(accepted=1201, deferred=2, rejected=1),
    next_attempt_at=datetime(2026, 11, 24, 14, 15, tzinfo=UTC),
)
any_counts = st.builds(DeliveryCounts, **{state.value: st.integers(0, 10**6) for state in DeliveryState})


def full(**changes: int) -> DeliveryCounts:
    """Return the counts of the full report, with changes."""
    return replace(FULL.counts, **changes)


def receipt_of(counts: DeliveryCounts, **changes: int) -> Receipt:
    """Return a receipt that balances."""
    return replace(FULL, edition=edition_of(counts.total), counts=counts, **changes)


@given(any_counts, st.integers(-5, 5))
def test_the_gap_is_what_is_missing(counts: DeliveryCounts, missing: int) -> None:
    """The gap is the audience less the eight counts; the report balances when it is zero, and says so when not."""
    receipt = replace(FULL, edition=edition_of(counts.total + missing), counts=counts)
    assert receipt.gap == missing
    assert receipt.balances == (missing == 0)
    assert counts.open == counts.queued + counts.sending + counts.deferred
    assert any("does not add up" in line for line in receipt.sentences()) == (missing != 0)


@given(any_counts)
def test_every_count_has_its_sentence(counts: DeliveryCounts) -> None:
    """One sentence for what was accepted, and one for each other count that is not zero."""
    others = sum(1 for state, number in counts.items() if number and state is not DeliveryState.ACCEPTED)
    assert len(receipt_of(counts).sentences()) == 1 + others


def test_the_report_in_words() -> None:
    """Accepted is explained, and those who wait are told with the time of the next try."""
    assert FULL.sentences() == (
        "1,201 of 1,204 handed to your mail provider (this means accepted, not arrived).",
        "2 people wait for another try; the next is at 14:15 UTC on 24 Nov 2026.",
        "1 person was refused by a mail server for good.",
    )
    assert FULL.sentences(when=lambda instant: f"{instant:%H.%M}")[1] == (
        "2 people wait for another try; the next is at 14.15."
    )


def test_who_waits_for_an_earlier_outcome() -> None:
    """Who was not tried waits for no other try, and when it is looked again is no time of a try."""
    sentences = receipt_of(full(deferred=3), awaiting=2).sentences()
    assert sentences[1:3] == (
        "1 person waits for another try; the next is at 14:15 UTC on 24 Nov 2026.",
        "2 people wait for the outcome of the edition before.",
    )
    assert replace(FULL, awaiting=2).sentences()[1:-1] == ("2 people wait for the outcome of the edition before.",)


def test_singular_and_plural() -> None:
    """One person is a person, and two are people."""
    states = [state.value for state in DeliveryState if state is not DeliveryState.UNCERTAIN]
    singular = receipt_of(DeliveryCounts(**dict.fromkeys(states, 1))).sentences()
    assert [line.partition(" ")[0] for line in singular] == ["1"] * 7
    assert all(" people " not in line for line in singular)
    plural = receipt_of(DeliveryCounts(**dict.fromkeys(states, 2))).sentences()
    assert all(" person " not in line and " was " not in line for line in plural[1:-1])


def test_the_uncertain_sentence() -> None:
    """Uncertain is always shown with what to do about it."""
    assert uncertain_sentence(1, "2026-11-24") == (
        "1 person may or may not have it. Do nothing: they may miss one. "
        "`edition resolve 2026-11-24 --resend`: they may get two."
    )
    assert uncertain_sentence(1200, "2026-11-24.2") == (
        "1,200 people may or may not have it. Do nothing: they may miss one. "
        "`edition resolve 2026-11-24.2 --resend`: they may get two."
    )
    assert uncertain_sentence(3, "2026-11-24") in receipt_of(full(uncertain=3, accepted=1198)).sentences()


def test_a_cancelled_edition_offers_nothing_that_is_refused() -> None:
    """Nothing of a cancelled edition is sent again, so that the sentence names only what can be done."""
    cancelled = edition_of(1204, status=EditionStatus.CANCELLED)
    sentences = replace(FULL, edition=cancelled, counts=full(uncertain=3, accepted=1198)).sentences()
    assert uncertain_sentence(3, "2026-11-24", cancelled=True) in sentences
    assert not any("--resend" in sentence for sentence in sentences)


def test_the_expired_sentence() -> None:
    """It fits people who were tried and people who were not, and names the command that a cancelled edition refuses."""
    sentence = "3 people were given up: no mail server took their mail in time"
    expired = replace(FULL, counts=full(expired=3, accepted=1198))
    assert f"{sentence}; `edition retry 2026-11-24 --expired` sends to them after all." in expired.sentences()
    cancelled = replace(expired, edition=edition_of(1204, status=EditionStatus.CANCELLED))
    assert f"{sentence}." in cancelled.sentences()


def test_the_gap_in_words() -> None:
    """A report that does not add up names the gap, in either direction, and what to run."""
    assert replace(FULL, counts=full(accepted=1200)).sentences()[-1] == (
        "This report does not add up: 1 person is missing from the account of 1,204. Run `newsletter db check`."
    )
    assert replace(FULL, counts=full(accepted=1203)).sentences()[-1] == (
        "This report does not add up: 2 people are accounted for beyond the audience of 1,204. "
        "Run `newsletter db check`."
    )


def test_the_json_keys() -> None:
    """The JSON has the promised keys, in order, and can be written as it is."""
    finished_at = datetime(2026, 11, 24, 14, 1, 2, 345678, tzinfo=UTC)
    receipt = replace(FULL, edition=edition_of(1204, number=2, finished_at=finished_at))
    written = json.loads(json.dumps(receipt.to_dict()))
    assert list(written) == [
        *("date", "tip", "source", "status", "kind", "about", "audience"),
        *("queued", "sending", "deferred", "accepted", "rejected", "uncertain", "expired", "skipped"),
        *("came_back", "held", "complained"),
        *("started_at", "finished_at", "gap", "sentences"),
    ]
    assert written["date"] == "2026-11-24.2"
    assert (written["source"], written["status"], written["accepted"]) == ("queue", "sending", 1201)
    assert written["started_at"] == "2026-11-24T14:00:00.000+00:00"
    assert written["finished_at"] == "2026-11-24T14:01:02.345+00:00"
    assert FULL.to_dict()["finished_at"] is None


def test_later_reports_have_a_sentence_and_no_count() -> None:
    """Bounces and complaints that come by mail change no state, so the balance stays."""
    later = replace(FULL, came_back=2, held=1, complained=3)
    assert later.gap == FULL.gap
    sentences = set(later.sentences()) - set(FULL.sentences())
    assert sorted(line.split(";")[0] for line in sentences) == [
        "1 bounce waits for you, as very many came at once",
        "2 mails came back after the mail server had taken them",
        f"3 people called it unwanted ({300 / FULL.counts.accepted:.2f} % of those who have it).",
    ]
