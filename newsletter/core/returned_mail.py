"""Where the words of a reporting server end and our own returned mail begins, in a text for people.

In: the text of a bounce. Out: the words of the server, and what it returns. Our mail may be about the number 550, so
nothing of it is ever read as a reply (`core/mail_report.py`).
"""

from __future__ import annotations

import re

VERP = re.compile(r"(?<![\w.+-])b[+-][0-9a-z]{21}(?![\w.+-])", re.IGNORECASE | re.ASCII)
OPT_OUT = re.compile(r"/u/([A-Za-z0-9_-]{36})(?![A-Za-z0-9_-])")
MESSAGE_ID = re.compile(r"<?\s*(\d{1,10}\.[0-9a-z]{24}@[\w.-]{1,255})", re.IGNORECASE | re.ASCII)
"""The tokens of ours that a returned mail bears."""

_FIELD = re.compile(r"^[ \t>|*]*([^\W\d_][\w-]{1,40})[ \t*]*(?::(?:[ \t]|$)|\uff1a)")
_CONTINUED = re.compile(r"^[>|]?[ \t]+\S")
_TRANSPORT_FIELDS = frozenset(
    {
        "arc-seal",
        "authentication-results",
        "auto-submitted",
        "cfbl-address",
        "cfbl-feedback-id",
        "content-transfer-encoding",
        "content-type",
        "delivered-to",
        "dkim-signature",
        "feedback-id",
        "list-help",
        "list-id",
        "list-post",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "message-id",
        "mime-version",
        "precedence",
        "received",
        "return-path",
        "x-auto-response-suppress",
    }
)
"""Fields that a mail bears and a summary for people does not."""
# fmt: off
_SUMMARY_FIELDS = frozenset(
    {
        "from", "to", "cc", "subject", "date", "sent", "sender", "reply-to", "von", "an", "betreff", "datum",
        "gesendet", "de", "à", "objet", "envoyé", "para", "asunto", "fecha", "enviado", "da", "oggetto", "inviato",
        "assunto", "van", "aan", "onderwerp", "verzonden", "от", "кому", "тема", "дата", "отправлено", "差出人", "宛先",
        "件名", "日時", "发件人", "收件人", "主题", "时间"
    }
)
# fmt: on
"""In the languages of mail systems; `data` is left out, which is a step of SMTP too."""
_ANNOUNCED = re.compile(
    r"copy|header|original|returned|unsent|bounced|follow|below|forwarded|message (body|text)|kopie|originalnachricht"
    r"|en-t[eê]te|copia|intestazion|cabe[cç]a|nachricht",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"^[ \t>|]{0,9}(-{2,80} ?(below|this is|original|returned|unsent|included|the (original|returned|header)|forwarded)"
    r"|-{3,80} ?(message )?(header|body)|original message|return-path:)",
    re.IGNORECASE,
)
_RULED = re.compile(
    r"^[ \t>|]{0,9}[-=*_#~]{2,80} ?(?!.{0,80}(transcript|session|address|error|recipient|reason|diagnos|report|status))"
    r"(?=.{0,80}(message|mail|nachricht|mensaje|mensagem|messag|письм|сообщен|メール|邮件))"
    r".{0,80}(follow|text|body|copy|below|header|original|folgt|wortlaut|suit|sigue|segue|copi|kopie|ниже|以下|本文|正文)",
    re.IGNORECASE,
)
"""A line of signs around words that announce our mail; servers rule off their own transcripts as well."""
_QUOTED_SUBJECT = re.compile(
    r"\b(subject|betreff|objet|sujet|asunto|oggetto|assunto|onderwerp|тем[аы]|件名|主题)\W{0,3}"
    r"(\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|„[^“”\n]{1,300}[“”]|«[^»\n]{1,300}»|「[^」\n]{1,300}」|'[^'\n]{1,300}')",
    re.IGNORECASE,
)
"""Our subject within a sentence of the server."""


def part_returned(text: str) -> tuple[str, str]:
    """Part a text for people into the words of the server and what it returns of our mail.

    Our mail begins with the line that announces it, or with its header: a block of fields that bears our own tokens,
    or a field that no summary has, or that follows an announcing line. A subject in a summary ("Your message … Subject:
    … was not delivered because …") is our own as well and left out of the words.
    """
    lines = text.splitlines()
    words: list[str] = []
    index = 0
    while index < len(lines):
        end, names = _header_block(lines, index)
        block = lines[index:end]
        if (
            _ORIGINAL.match(lines[index])
            or _RULED.match(lines[index])
            or (end > index and _is_returned(block, names, words))
        ):
            return _without_subjects(words), "\n".join(lines[index:])
        if end > index:
            # A field on its own may be a reply or a reason ("Error: 550 …"): what people wrote in it is not.
            words += [line for line in block if (_name(line) or "subject") not in _SUMMARY_FIELDS]
            index = end
        else:
            words.append(lines[index])
            index += 1
    return _without_subjects(words), ""


def _without_subjects(words: list[str]) -> str:
    return _QUOTED_SUBJECT.sub(r"\1", "\n".join(words))


def _header_block(lines: list[str], start: int) -> tuple[int, frozenset[str]]:
    """Return where the fields end that begin at a line, and the names of those that are known; none: `start`."""
    names = set()
    index = start
    while index < len(lines):
        name = _name(lines[index])
        if name in _SUMMARY_FIELDS or name in _TRANSPORT_FIELDS:
            names.add(name)
        elif not (names and (name or _CONTINUED.match(lines[index]))):
            break
        index += 1
    return index, frozenset(names)


def _is_returned(block: list[str], names: frozenset[str], words: list[str]) -> bool:
    text = "\n".join(block)
    if any(pattern.search(text) for pattern in (VERP, OPT_OUT, MESSAGE_ID)):
        return True
    if names & _TRANSPORT_FIELDS and (len(names) > 1 or names & {"received", "return-path"}):
        return True
    announcing = next((line for line in reversed(words) if line.strip()), "")
    return len(names) > 1 and len(announcing) <= _ANNOUNCING_LINE_LENGTH_MAX and bool(_ANNOUNCED.search(announcing))


_ANNOUNCING_LINE_LENGTH_MAX = 120
"""Characters of a line that announces the returned mail."""


def _name(line: str) -> str:
    match = _FIELD.match(line)
    return match[1].lower() if match else ""
