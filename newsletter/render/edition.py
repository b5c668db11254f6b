"""An edition, rendered once for all its recipients.

In: a tip, the publication, templates, a nonce and a date. Out: subject, HTML and text in which every value that differs
from person to person is still a sentinel. It never sees a subscriber; `render/mime.py` makes the message of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date as Date  # noqa: N812 - the argument `date` would hide it.

from jinja2 import Environment
from markupsafe import Markup

from newsletter.core.mail_words import date_words, mail_words
from newsletter.core.message import MergeField, Publication
from newsletter.core.series import SeriesPlace
from newsletter.core.tip import Tip, TipDraft
from newsletter.core.typography import quotation_marks, typographic
from newsletter.errors import InputError
from newsletter.render import gates
from newsletter.render.encoding import SUBJECT_LENGTH
from newsletter.render.environment import render_template
from newsletter.render.inline import inline_css
from newsletter.render.mail_colors import MailColors
from newsletter.render.markdown import render_markdown
from newsletter.render.splice import Personal, Sentinels
from newsletter.render.text_table import display_width

FOLDER = "email/edition"
_RIGHT_TO_LEFT = {"ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedEdition:
    """Content with sentinels, and what is needed to find them again."""

    edition_name: str
    nonce: str
    subject: str
    html: str
    text: str
    fields: tuple[MergeField, ...]
    warnings: tuple[str, ...]


def render_edition(
    tip: Tip | TipDraft,
    publication: Publication,
    templates: Environment,
    *,
    nonce: str,
    date: Date,
    edition_name: str = "",
    series: SeriesPlace | None = None,
) -> RenderedEdition:
    """Render a tip as the edition of a date; `edition_name` is that date unless it is a second edition of it.

    Raises `InputError` for an unknown merge field, a faulty template, and whatever a gate refuses.
    """
    sentinels = Sentinels(nonce)
    _refuse_prefix(sentinels, tip, publication)
    name = edition_name or date.isoformat()
    values, warnings = _values(tip, publication, sentinels, date, name, series=series)
    subject = _subject(_render(templates, "subject.txt", values, sentinels), sentinels)
    values["subject"] = sentinels.personal(subject, "the subject")
    text = _tidy(_render(templates, "body.txt", values, sentinels))
    source = _render(templates, "body.html", values, sentinels)
    html = inline_css(source)
    gates.check_sentinels(source, html, sentinels)
    gates.check_style(html, sentinels)
    gates.check_places(html, sentinels)
    unsubscribe = sentinels.sentinel(MergeField(name="unsubscribe_url"))
    gates.check_footer(html, text, publication, unsubscribe, sentinels)
    return RenderedEdition(
        edition_name=name,
        nonce=nonce,
        subject=subject,
        html=html,
        text=text,
        fields=tuple(sentinels.fields),
        warnings=warnings,
    )


def _render(templates: Environment, file: str, values: Mapping[str, object], sentinels: Sentinels) -> str:
    """Render one of the three templates and check that every place came out whole."""
    sentinels.issued.clear()
    rendered = render_template(templates, f"{FOLDER}/{file}", values)
    gates.check_part(rendered, file, sentinels)
    return rendered


def _values(
    tip: Tip | TipDraft,
    publication: Publication,
    sentinels: Sentinels,
    date: Date,
    name: str,
    *,
    series: SeriesPlace | None = None,
) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return what the templates see (every name is documented in `docs/the-mail.md`), and warnings."""
    line = tip.body_line if isinstance(tip, TipDraft) else 1
    marks = quotation_marks(publication.language) if publication.typography else None
    body = render_markdown(sentinels.mark(tip.body, place="body", line=line), sentinels, marks)

    def set_line(text: str, place: str) -> Personal | str:
        marked = sentinels.mark(text, place=place)
        return sentinels.personal(typographic(marked, marks) if marks else marked, f"the {place}")

    title = typographic(tip.title, marks) if marks else tip.title
    button = body.button and {
        "url": body.button.url,
        "label": sentinels.personal(body.button.label, "the button"),
    }
    values: dict[str, object] = {
        "publication": _publication_values(publication),
        "tip": {
            "title": _without_widow(set_line(tip.title, "title")),
            "title_rule": "=" * min(72, display_width(title)),
            "subject": set_line(tip.subject, "subject"),
            "preheader": set_line(tip.preheader, "preheader"),
            "author": tip.author,
            "tags": tip.tags,
            "view_url": f"{publication.links.tips_url}/{tip.slug}" if publication.links.tips_url else "",
            "html": Markup(body.html),  # noqa: S704 - from the allow-list of `render/markdown.py`.
            "text": body.text,
            "button": button or "",
        },
        "series": _series_values(series, publication),
        "edition": {"name": name, "date": date_words(date, publication.language), "iso_date": date.isoformat()},
        "recipient": {key: Personal.of(key, sentinels) for key in ("email", "unsubscribe_url", "settings_url")},
        "words": _word_values(publication, sentinels),
        "look": asdict(MailColors.of(publication.accent_color)) | {"logo_url": publication.logo_url},
        "language": publication.language,
        "direction": "rtl" if publication.language.split("-")[0].lower() in _RIGHT_TO_LEFT else "ltr",
    }
    return values, body.warnings


def _without_widow(title: Personal | str) -> Personal | str:
    """Return a title in which no line begins with a dash: it stays with the word before it."""
    return re.sub(r" (?=[\u2013\u2014-] )", "\N{NO-BREAK SPACE}", title) if isinstance(title, str) else title


def _series_values(series: SeriesPlace | None, publication: Publication) -> Mapping[str, object] | str:
    """Return the place in a series in words; empty for a tip of no series."""
    if series is None:
        return ""
    words = mail_words(publication.language)
    return {
        "part": series.part,
        "parts": series.parts,
        "place": words.part.format(part=series.part, parts=series.parts),
        "earlier": [{"part": earlier.part, "title": earlier.title} for earlier in series.earlier],
    }


def _word_values(publication: Publication, sentinels: Sentinels) -> Mapping[str, object]:
    """Return the words of the language for the frame of the mail; the reason names the address of the reader."""
    words = mail_words(publication.language)
    reason = words.reason.format(email=sentinels.sentinel(MergeField(name="email")))
    return {
        "reason": sentinels.personal(reason, "words.reason"),
        "unsubscribe": words.unsubscribe,
        "settings": words.settings,
        "view_in_browser": words.view_in_browser,
        "earlier_tips": words.earlier_tips,
        "resources": words.resources,
        "contact": words.contact,
        "home": words.home,
        "forwarded": words.forwarded,
        "subscribe": words.subscribe,
        "earlier_parts": words.earlier_parts,
    }


def _publication_values(publication: Publication) -> Mapping[str, object]:
    """Return the publication as strings."""
    lines = [line.strip() for line in publication.postal_address.splitlines() if line.strip()]
    return {
        "name": publication.name,
        "reply_to": publication.reply_to,
        "postal_address": ", ".join(line.rstrip(",") for line in lines),
        "postal_lines": lines,
        **asdict(publication.links),
    }


def _subject(rendered: str, sentinels: Sentinels) -> str:
    """Return the subject as one line; raise `InputError` for an empty one and for one that is too long."""
    subject = " ".join(rendered.split())
    if not subject:
        raise InputError("the subject is empty: give the tip a title")
    length = len(sentinels.blank(subject))
    if length > SUBJECT_LENGTH:
        raise InputError(f"the subject has {length} characters, over the limit of {SUBJECT_LENGTH}: shorten it")
    return subject


def _tidy(text: str) -> str:
    """Return text with no blanks at line ends, at most one empty line in a row, and one line break at the end."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n")]
    kept = [line for at, line in enumerate(lines) if line or (at and lines[at - 1])]
    return "\n".join(kept) + "\n"


def _refuse_prefix(sentinels: Sentinels, tip: Tip | TipDraft, publication: Publication) -> None:
    """Refuse the one edition in 10^14 whose text holds its own sentinel prefix; another nonce will do."""
    if sentinels.prefix in f"{tip}{publication}".lower():
        raise InputError("the text holds the mark of its own edition by chance: use another nonce")
