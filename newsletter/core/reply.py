"""What an SMTP server said, and what it means.

In: a `Reply` and the phase in which it came. Out: a `Verdict`. Nothing here raises for a bad reply: a refusal is data.
The rules are the table of `core/reply_rules.py`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from newsletter.core.reply_rules import RULES
from newsletter.core.reply_value import Effect, Phase, RelayAction, Reply, ReplyClass, Rule, Verdict

__all__ = [
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
    "parse_reply",
    "tame",
]

TEXT_LIMIT = 1000

_ENHANCED = re.compile(r"\A([245]\.\d{1,3}\.\d{1,3})(?:\s+|\Z)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


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
    return Reply(phase=phase, code=code, enhanced=enhanced, text=tame(" ".join(texts)).strip()[:TEXT_LIMIT])


def tame(text: str) -> str:
    """Take out what could draw on a terminal, begin a line of a log, or not be stored at all."""
    return _CONTROLS.sub(" ", text)


_TAKEN = Verdict(effect=Effect.ACCEPT, kind=ReplyClass.OK, rule=RULES[0].name, plain=RULES[0].plain)


def judge(reply: Reply) -> Verdict:
    """Tell what a reply means: the first rule of `RULES` that fits decides. Total: it never raises."""
    # The first rule, seven thousand times a second; a test holds it against the table.
    if reply.phase is Phase.DOT and 200 <= reply.code < 300 and not reply.may_be_delivered:  # noqa: PLR2004
        return _TAKEN
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


@functools.lru_cache(maxsize=256)
def _rules_for(phase: Phase, code: int) -> tuple[Rule, ...]:
    """Return the rules about this step and code, in order; the same few of these come a million times an edition."""
    return tuple(rule for rule in RULES if phase in rule.phases and re.fullmatch(rule.codes, f"{code:03d}"))


def _at_least(relay: RelayAction, reply: Reply) -> RelayAction:
    """Back off when the relay itself is in trouble: it closes the channel (421), or takes no sender (4yz to MAIL)."""
    closing = reply.code == 421 or (reply.phase is Phase.MAIL and 400 <= reply.code < 500)  # noqa: PLR2004 - RFC 5321 §4.2.3
    return RelayAction.BACK_OFF if closing and relay is RelayAction.GO_ON else relay
