"""Delay notices in plain words, in the languages and forms in which servers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.mail_report import ReportKind, read_report
from tests.core.bounce_corpus import report

NEUTRAL = "Delivery status notification"
DELAYS = (
    ("Delivery status notification: warning", "A message is delayed for more than 4 hours for these recipients:"),
    ("Delivery Status Notification (Delay)", "Delivery to the following recipient has been delayed:"),
    (
        NEUTRAL,
        "Please note that this is only a temporary failure report.\nThe message is kept in the queue for 4 days.",
    ),
    ("Mail Delivery Status Notification (Delay)", "This is a warning, nothing need be sent again."),
    ("Warning: could not send message for past 4 hours", "Will keep trying until message is 5 days old."),
    ("Warning: message 1abc-02 delayed 24 hours", "It has not yet been delivered. Delivery attempts will continue."),
    ("Undelivered Mail: still being retried", "THIS IS A WARNING ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE."),
    ("Delivery failure (delayed)", "Message will be retried for 2 more day(s)"),
    (NEUTRAL, "There was a temporary problem delivering your message. The server will retry for 46 more hours."),
    (NEUTRAL, "The delivery was delayed. Eventually the software will give up and return the message to you."),
    (NEUTRAL, "The address is temporarily unreachable, we retry every hour for five days."),
    ("Zustellung verzögert", "Ihre Nachricht konnte noch nicht zugestellt werden. Weitere Zustellversuche folgen."),
    ("Notification d'état de remise : retard", "Votre message n'a pas encore été remis. Avertissement seulement."),
    ("Notificación de estado de entrega (retraso)", "El mensaje aún no se ha entregado; se volverá a intentar."),
    ("Notifica sullo stato della consegna (ritardo)", "Il messaggio non è ancora stato recapitato."),
    ("Notificação de status de entrega: atraso", "A mensagem ainda não foi entregue."),
    ("Bezorging vertraagd", "Uw bericht is nog niet afgeleverd."),
    ("Доставка задерживается", "Сообщение ещё не доставлено, будут повторные попытки."),
    ("配信遅延のお知らせ", "メールはまだ配信されていません。再送を試みます。"),
    ("邮件延迟通知", "邮件尚未送达。系统将继续尝试。"),
)
FAILURES = (
    (
        "Returned mail: User unknown",
        "421 mx.example.org... Deferred: connection reset\n550 ann@example.org... User unknown",
    ),
    ("Mail delivery failed: returning message to sender", "This is a permanent error. 550 No such user here"),
    ("failure notice", "Hi. This is the qmail-send program.\nThis is a permanent error; I've given up."),
    ("Undeliverable: A tip", "Delivery has failed to these recipients: 550 5.1.1 user unknown"),
    (NEUTRAL + ": error", "An error has occurred while attempting to deliver a message: Envelope expired"),
)


def notice(subject: str, words: str) -> bytes:
    """Return a bounce in plain words, from a mail system."""
    head = f"From: Mail Delivery System <MAILER-DAEMON@mx.example.net>\nTo: tips@example.com\nSubject: {subject}\n"
    body = f"{words}\n\nann@example.org: 451 Host not reachable\n"
    return f"{head}Content-Type: text/plain; charset=utf-8\n\n{body}".encode()


@pytest.mark.parametrize(("subject", "words"), DELAYS)
def test_a_delay_notice_in_words(subject: str, words: str) -> None:
    """Words of a delay outweigh a neutral subject, in any language."""
    assert read_report(notice(subject, words)).kind is ReportKind.DELAYED


@pytest.mark.parametrize(("subject", "words"), FAILURES)
def test_a_failure_in_words(subject: str, words: str) -> None:
    """A server that gave up says so; what it says of single attempts changes nothing."""
    assert read_report(notice(subject, words)).kind is ReportKind.FAILED


@given(
    status=st.sampled_from(["4.4.1", "5.1.1", "5.0.0", "2.0.0", ""]),
    action=st.sampled_from(["delayed", "Delayed", "DELAYED (still trying)"]),
    diagnostic=st.sampled_from(["", "smtp; 550 5.1.1 user unknown", "smtp; 451 4.4.1 timed out"]),
    subject=st.sampled_from(["failure notice", "Undelivered Mail Returned to Sender", NEUTRAL, "Returned mail"]),
    words=st.text(max_size=80),
)
def test_a_report_of_a_delay_never_counts(status: str, action: str, diagnostic: str, subject: str, words: str) -> None:
    """`Action: delayed` decides (RFC 3464 §2.3.3), whatever else the report says."""
    text = report(
        subject=subject,
        words=" ".join(words.split()),
        status=f"Final-Recipient: rfc822; ann@example.org\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: {diagnostic}\n",
    )
    assert read_report(text.encode("utf-8", "replace")).kind is ReportKind.DELAYED
