"""The reply of an SMTP server, and its verdict.

In: a `Reply` and the phase in which it came. Out: a `Verdict`. Nothing here raises for a bad reply: a refusal is data.
The rules are the table of `core/reply_rules.py`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import replace

from newsletter.core.reply_rules import RULES
from newsletter.core.reply_value import PERSON, Effect, Phase, RelayAction, Reply, ReplyClass, Rule, Verdict

__all__ = [
    "ACCEPTED",
    "FALLBACK",
    "RULES",
    "TEXT_LIMIT",
    "Effect",
    "Phase",
    "RelayAction",
    "Reply",
    "ReplyClass",
    "Rule",
    "Verdict",
    "judge",
    "judge_delivery",
    "parse_reply",
    "strip_control_characters",
]

TEXT_LIMIT = 1000
FALLBACK = "phase:rcpt-5yz"
"""The rule about a refusal of an address of which no other rule knows the reason."""

_ENHANCED = re.compile(r"\A([245]\.\d{1,3}\.\d{1,3})(?:\s+|\Z)")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


def parse_reply(code: int, lines: Sequence[str], *, phase: Phase) -> Reply:
    """Make a value of a reply: split off the enhanced code of its lines (RFC 2034 §4), join and tame the text."""
    if len(lines) == 1 and (text := lines[0].strip()).isprintable() and len(text) <= TEXT_LIMIT:
        # Nearly every reply is one such line, in which there is nothing to tame or to join.
        match = _ENHANCED.match(text)
        return Reply(
            phase=phase, code=code, enhanced=match[1] if match else "", text=text[match.end() :] if match else text
        )
    enhanced = ""
    texts = []
    for line in lines:
        match = _ENHANCED.match(line.strip())
        if match:
            enhanced = enhanced or match[1]
        texts.append(line.strip()[match.end() :] if match else line.strip())
    return Reply(
        phase=phase, code=code, enhanced=enhanced, text=strip_control_characters(" ".join(texts)).strip()[:TEXT_LIMIT]
    )


def strip_control_characters(text: str) -> str:
    """Replace what could draw on a terminal, begin a line of a log, turn text around (bidi marks), or not be stored."""
    return _CONTROLS.sub(" ", text)


ACCEPTED = Verdict(effect=Effect.ACCEPT, kind=ReplyClass.OK, rule=RULES[0].name, plain=RULES[0].plain)
"""The only verdict that accepts."""
_SENDER_REFUSED = Verdict(
    effect=Effect.REQUEUE,
    kind=ReplyClass.CONFIGURATION,
    relay=RelayAction.PAUSE_EDITION,
    rule="own:sender-named",
    plain="The server refuses our sender address.",
)


def judge(reply: Reply) -> Verdict:
    """Tell what a reply means: the first rule of `RULES` that fits decides. Total: it never raises."""
    # The first rule, seven thousand times a second; a test holds it against the table.
    if reply.phase is Phase.DOT and 200 <= reply.code < 300 and not reply.may_be_delivered:  # noqa: PLR2004
        return ACCEPTED
    reply = _innermost(reply)
    rule = next(rule for rule in _rules_for(reply.phase, reply.code) if rule.fits(reply))
    effect = rule.effect or (Effect.DEFER if 400 <= reply.code < 500 else Effect.REJECT)  # noqa: PLR2004 - RFC 5321 §4.2.1
    return Verdict(
        effect=effect,
        kind=rule.kind,
        relay=_at_least(rule.relay, reply),
        rule=rule.name,
        plain=rule.plain,
        suppress=rule.suppress,
    )


def judge_delivery(reply: Reply, *, sender: str, recipient: str) -> Verdict:
    """Tell what a reply means for one delivery: a refusal that names our sender, not the recipient, refuses the sender.

    `sender` is the envelope sender, `recipient` the envelope recipient. A domain alone counts only where no other rule
    knows the reason: relays also name themselves and the client in a refusal of a mailbox.
    """
    verdict = judge(reply)
    if verdict.effect is not Effect.REJECT or reply.phase not in PERSON:
        return verdict
    text = reply.text.casefold()
    sender, recipient = sender.casefold(), recipient.casefold()
    if recipient in text:
        return verdict
    domain = sender.rpartition("@")[2]
    named = sender in text or (
        verdict.rule == FALLBACK
        and domain != recipient.rpartition("@")[2]
        and re.search(rf"(?<![\w.-]){re.escape(domain)}(?![\w-])", text) is not None
    )
    return _SENDER_REFUSED if named else verdict


_QUOTED = re.compile(
    r"(?:\berror\s*(?=\d{3}[ -][\"'])"
    r"|(?:\bsaid:?|\bresponse(?: from [^:]{1,100})?(?: was)?:?|->|\bwith:|\breturned:?|\banswered:?)\s*[\"'(\[]?)"
    r"(?P<code>[45][0-5]\d)(?! for\b)[ -]\s*[\"'(]*(?:#?(?P<enhanced>[45]\.\d{1,3}\.\d{1,3})\b)?",
    re.IGNORECASE,
)
"""A reply that another server gave, quoted: `host mx.example.org said: 450 4.2.0 …`, `error 451-'4.7.1 …'`."""
_QUOTATION_OFFSET_MAX = 300
"""Characters of a reply in which a quotation begins; what stands later in a letter is about something else."""
_QUOTATION_DEPTH_MAX = 3


def _innermost(reply: Reply) -> Reply:
    """Return the reply that a refusal quotes, of the server that had the reason; without a quotation the same one.

    A 4yz keeps its own meaning: whatever it quotes, the server promises another chance.
    """
    for _ in range(_QUOTATION_DEPTH_MAX):
        if reply.phase not in PERSON or reply.code // 100 != 5:  # noqa: PLR2004 - first digit of a permanent reply.
            break
        inner = _QUOTED.search(reply.text[:_QUOTATION_OFFSET_MAX])
        if inner is None:
            break
        text = reply.text[inner.end() :].strip(" '\"")
        reply = replace(reply, code=int(inner["code"]), enhanced=inner["enhanced"] or "", text=text)
    return reply


@functools.lru_cache(maxsize=256)
def _rules_for(phase: Phase, code: int) -> tuple[Rule, ...]:
    """Return the rules about this step and code, in order; the same few of these come a million times an edition."""
    return tuple(rule for rule in RULES if phase in rule.phases and re.fullmatch(rule.codes, f"{code:03d}"))


def _at_least(relay: RelayAction, reply: Reply) -> RelayAction:
    """Back off when the relay itself is in trouble: it closes the channel (421), or takes no sender (4yz to MAIL)."""
    closing = reply.code == 421 or (reply.phase is Phase.MAIL and 400 <= reply.code < 500)  # noqa: PLR2004 - RFC 5321 §4.2.3
    return RelayAction.BACK_OFF if closing and relay is RelayAction.GO_ON else relay
