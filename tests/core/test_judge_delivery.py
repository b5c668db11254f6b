"""A refusal that names our own sender address is about the sender, whatever code it bears."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.reply import Effect, Phase, RelayAction, Reply, judge, judge_delivery

SENDER, RECIPIENT = "bounce+1@news.example.com", "ann@example.org"


def refusal(text: str, enhanced: str = "5.1.1", phase: Phase = Phase.RCPT) -> Reply:
    """Return a 550 with these words."""
    return Reply(phase=phase, code=550, enhanced=enhanced, text=text)


@pytest.mark.parametrize(
    "text",
    [
        "<bounce+1@news.example.com>: address not known here",
        "BOUNCE+1@NEWS.EXAMPLE.COM does not exist",
        "bounce+1@news.example.com... no such user",
    ],
)
def test_a_refusal_of_our_address_requeues_and_pauses(text: str) -> None:
    """No subscription ends for it: the message waits, and a person looks at the sender."""
    verdict = judge_delivery(refusal(text), sender=SENDER, recipient=RECIPIENT)
    assert (verdict.effect, verdict.relay, verdict.suppress) == (Effect.REQUEUE, RelayAction.PAUSE_EDITION, False)


def test_our_domain_counts_where_the_reason_is_not_known() -> None:
    """The domain alone turns a refusal without a reason into one of the sender, and nothing else."""
    unknown = refusal("mail for or from news.example.com: no", enhanced="")
    assert judge_delivery(unknown, sender=SENDER, recipient=RECIPIENT).effect is Effect.REQUEUE
    known = refusal("user unknown (client news.example.com)")
    assert judge_delivery(known, sender=SENDER, recipient=RECIPIENT) == judge(known)
    neighbour = refusal("mail.news.example.com says no", enhanced="")
    assert judge_delivery(neighbour, sender=SENDER, recipient=RECIPIENT) == judge(neighbour)


@given(text=st.text(max_size=80), code=st.sampled_from([250, 421, 450, 550, 552, 571]), phase=st.sampled_from(Phase))
def test_words_about_the_recipient_are_judged_as_ever(text: str, code: int, phase: Phase) -> None:
    """A reply that names the recipient means what `judge` says, and so does every reply that is no refusal."""
    reply = Reply(phase=phase, code=code, text=f"{text} <{RECIPIENT}>")
    assert judge_delivery(reply, sender=SENDER, recipient=RECIPIENT) == judge(reply)
