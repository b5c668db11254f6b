"""Whose fault a refusal is: only a refusal of the mailbox itself ever counts against a reader."""

from __future__ import annotations

import pytest

from newsletter.core.bounce_count import COUNTED
from newsletter.core.evidence import read_back, written
from newsletter.core.reply import Effect, Phase, RelayAction, ReplyClass, Verdict, judge, parse_reply
from tests.core.refusal_corpus import MAILBOX_GONE, NOT_THE_MAILBOX, QUOTA_OR_RATE, SENDER_OR_ACCOUNT


def verdict_of(line: str) -> Verdict:
    """Judge a line: the step, the code, and the words of the server."""
    phase, code, text = line.split(" ", 2)
    return judge(parse_reply(int(code), [text], phase=Phase(phase)))


def counts(verdict: Verdict) -> bool:
    """Tell whether a verdict counts towards the end of a subscription."""
    return verdict.suppress or verdict.kind in COUNTED


@pytest.mark.parametrize("line", SENDER_OR_ACCOUNT)
def test_a_refusal_of_our_side_pauses_the_edition(line: str) -> None:
    """The reader stays in the queue, and the edition stops at the first such reply."""
    verdict = verdict_of(line)
    assert (verdict.effect, verdict.relay) == (Effect.REQUEUE, RelayAction.PAUSE_EDITION)
    assert not counts(verdict)


@pytest.mark.parametrize("line", QUOTA_OR_RATE)
def test_our_own_quota_defers(line: str) -> None:
    """It is a matter of time: deferred with a back-off, and never shown as the reader's full mailbox."""
    verdict = verdict_of(line)
    assert (verdict.effect, verdict.kind, verdict.relay) == (Effect.DEFER, ReplyClass.RATE, RelayAction.BACK_OFF)


@pytest.mark.parametrize("line", MAILBOX_GONE)
def test_a_refusal_of_the_mailbox_ends_the_subscription(line: str) -> None:
    """Whatever the words, quoted or not: the mailbox does not exist, or is no longer used."""
    verdict = verdict_of(line)
    assert (verdict.kind, verdict.suppress) == (ReplyClass.HARD, True)


@pytest.mark.parametrize("line", NOT_THE_MAILBOX)
def test_no_other_refusal_ends_a_subscription(line: str) -> None:
    """Policy, a host that is not believed, greylisting behind a relay: none refuses the mailbox."""
    verdict = verdict_of(line)
    assert not verdict.suppress
    assert verdict.kind not in {ReplyClass.PROVISIONAL, ReplyClass.SOFT, ReplyClass.HARD_DOMAIN}


@pytest.mark.parametrize("line", [*SENDER_OR_ACCOUNT, *QUOTA_OR_RATE, *MAILBOX_GONE, *NOT_THE_MAILBOX])
def test_a_reply_means_the_same_when_it_is_read_back(line: str) -> None:
    """A bounce is stored as words and judged again from them: that never makes a reader's fault of ours."""
    _, code, text = line.split(" ", 2)
    reply = parse_reply(int(code), [text], phase=Phase.RCPT)
    assert judge(read_back(written(reply))) == judge(reply)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("rcpt 550 5.2.2 Mailbox quota exceeded", "mailbox-full"),
        ("rcpt 552 5.2.2 The recipient's quota is exceeded", "mailbox-full"),
        ("rcpt 550 quota exceeded for ann@example.org", "mailbox-full"),
        ("rcpt 552 The user has exceeded their storage limit", "mailbox-full"),
        ("rcpt 550 User mailbox exceeds allowed size", "mailbox-full"),
        ("rcpt 450 4.0.0 Blocked, see the block list at example.net", "policy"),
        ("rcpt 450 4.0.0 connection timed out", "system"),
        ("rcpt 550 Host or domain name not found, try again", "system"),
        ("rcpt 550 Host or domain name not found", "hard-domain"),
    ],
)
def test_similar_replies_are_judged_apart(line: str, kind: str) -> None:
    """A full mailbox is no quota of ours, and a block is no trouble of the mailbox."""
    assert verdict_of(line).kind == kind
