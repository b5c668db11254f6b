"""Columns of a subscriber file that speak of consent: which ones they are, and what one row says.

In: the headings, then the rows of the whole file. Out: a `ConsentReader`, which gives the state of each row, and the
values that are not understood. The import stops on such a value: a person who left elsewhere is never mailed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from newsletter.core.consent_words import (
    UNKNOWN,
    CellReading,
    ColumnTopic,
    fold_word,
    is_yes_or_no,
    read_cell,
    word_of_consent,
)
from newsletter.core.subscriber import SubscriberState, most_restrictive

CATEGORY_VALUES_MAX = 20
"""Distinct values of a column of categories; a column with more holds free text."""
UNKNOWN_VALUES_SHOWN_MAX = 12
CELL_CHARACTERS_MAX = 100
EMPTY = "(empty)"

_PREFIX = r"(?:(?:is|has|was|email|e_mail|mail|newsletter|marketing|subscription|contact|list|date|globally|global)_)*"
_SUFFIX = (
    r"(?:_(?:email|e_mail|mail|mails|emails|of_email|of_emails|from_all_email|from_all_emails|to_emails|user|all))*"
)
_DETAIL = (
    r"(?:_(?:at|on|date|time|datetime|timestamp|reason|reasons|source|method|campaign|campaign_title|campaign_id|"
    r"reason_other|datum|am|grund|le|motif|fecha|motivo|data|op|reden|em))"
)
_UNSUBSCRIBED = (
    r"unsub|unsubs|unsubscribe|unsubscribed|unsubscription|unsubscribes|opt_?out|opted_?out|has_opted_out|optout|"
    r"black_?list|black_?listed|block_?list|block_?listed|blocked|suppressed|suppression|do_not_(?:e_?)?mail|"
    r"do_not_contact|no_?mail|no_email|dnc|disabled|removed|deleted|cancelled|canceled|deactivated|stop|stopped|"
    r"abgemeldet|abmeldung|abgemeldet_am|ausgetragen|austragung|gesperrt|widerrufen|widerruf|gekundigt|abbestellt|"
    r"desabonne|desabonnement|desinscrit|desinscription|desinscripcion|desuscrito|dado_de_baja|baja|fecha_de_baja|"
    r"fecha_baja|de_baja|disiscritto|disiscrizione|cancellato|uitgeschreven|uitschrijving|afgemeld|afmelding|"
    r"descadastrado|descadastro|desinscrito|inscricao_cancelada|date_de_desinscription|date_de_desabonnement|"
    r"data_di_disiscrizione|data_de_descadastro"
)
_BOUNCED = (
    r"bounce|bounced|hard_?bounce|hard_?bounced|clean|cleaned|undeliverable|unzustellbar|rebotado|rimbalzato|"
    r"devolvido|onbestelbaar"
)
_COMPLAINED = (
    r"complaint|complaints|complained|spam|spam_complaint|spam_reported|marked_as_spam|abuse|abuse_complaint|"
    r"beschwerde|plainte|queja|klacht|reclamo|reclamacao"
)
_SUBSCRIBED = (
    r"subscribed|subscribe|subscribed_to_emails?|subscribed_to_newsletters?|opt_?in|opted_?in|consent|has_consent|"
    r"consent_given|consented|permission|gdpr|gdpr_consent|dsgvo|accepts_marketing|accepts_email_marketing|accepts_email|"
    r"marketing_consent|email_marketing_consent|marketing_emails|wants_newsletter|receive_newsletter|receives_newsletter|"
    r"receive_emails|receives_emails|active|activated|enabled|abonniert|newsletter_abonniert|angemeldet|eingetragen|aktiv|"
    r"einwilligung|zustimmung|abonne|inscrit|actif|consentement|suscrito|activo|consentimiento|ingeschreven|aangemeld|"
    r"geabonneerd|actief|toestemming|iscritto|attivo|consenso|inscrito|ativo|consentimento|assinante"
)
_CONFIRMED = (
    r"confirmed|verified|double_?opt_?in|doi|bestatigt|confirme|confirmado|bevestigd|confermato|optin_confirmed|"
    r"opt_in_confirmed"
)
_STATUS = (
    r"status|(?:sub|subscription|subscriber|e_?mail|mail|global|delivery|member|membership|contact|consent|permission|"
    r"marketing|email_marketing|newsletter|list|opt_?in|stop|abo|anmelde|abonnement|email_permission|mailing|"
    r"email_subscription|newsletter_subscription|contact_email)_?(?:status|state)|anmeldestatus|abonnementstatus|"
    r"statut|statut_(?:de_l_)?abonnement|statut_d_abonnement|estado_(?:de_)?(?:la_)?suscripcion|estado_de_suscripcion|"
    r"stato_(?:dell_)?iscrizione|stato_iscrizione|estado_da_inscricao|situacao"
)
_CONFIRMED_AT = r"confirmed_(?:at|on|date|time)|confirmation_(?:date|time)|confirmed_date|date_confirmed|bestatigt_am"

_TOPICS: tuple[tuple[re.Pattern[str], ColumnTopic], ...] = tuple(
    (re.compile(pattern), topic)
    for pattern, topic in (
        (_STATUS, ColumnTopic.STATUS),
        (f"{_PREFIX}(?:{_UNSUBSCRIBED}){_SUFFIX}", ColumnTopic.UNSUBSCRIBED),
        (f"{_PREFIX}(?:{_UNSUBSCRIBED}){_SUFFIX}{_DETAIL}", ColumnTopic.UNSUBSCRIBED_DETAIL),
        (f"{_PREFIX}(?:{_BOUNCED}){_SUFFIX}", ColumnTopic.BOUNCED),
        (f"{_PREFIX}(?:{_BOUNCED}){_SUFFIX}{_DETAIL}", ColumnTopic.BOUNCED_DETAIL),
        (f"{_PREFIX}(?:{_COMPLAINED}){_SUFFIX}", ColumnTopic.COMPLAINED),
        (f"{_PREFIX}(?:{_COMPLAINED}){_SUFFIX}{_DETAIL}", ColumnTopic.COMPLAINED_DETAIL),
        (_CONFIRMED_AT, ColumnTopic.CONFIRMED_AT),
        (f"{_PREFIX}(?:{_CONFIRMED})", ColumnTopic.CONFIRMED),
        (f"{_PREFIX}(?:{_SUBSCRIBED})", ColumnTopic.SUBSCRIBED),
    )
)
_STEMS = (
    (
        re.compile(
            r"unsub|opt(?:ed)?_?out|black_?list|block_?list|abgemeldet|abmeld|abbestell|desabon|desinscri|"
            r"disiscri|uitgeschrev|uitschrijv|afgemeld|descadastr|dado_de_baja|wypis|odhlas|leiratk|avregistr|avanm|"
            r"avmeld|afmeldt|frameld|отпис|配信停止|購読解除|退会|退订|取消订阅|수신거부|구독취소"
        ),
        ColumnTopic.UNSUBSCRIBED,
    ),
    (re.compile(r"(?<!soft_)bounced(?!_count)"), ColumnTopic.BOUNCED),
    (re.compile(r"complain"), ColumnTopic.COMPLAINED),
)
"""Parts of longer headings, such as `newsletter_optout_flag`."""
_FIGURE = re.compile(r"count|rate|total|number|percent|url|link|token|_ip\b|_ip$|page|form$")
"""Headings about figures and links, such as `unsubscribe_link`, which every row has."""
_AMBIGUOUS = {
    **dict.fromkeys(("state", "estado", "stato", "etat", "stand", "subscription", "abonnement"), ColumnTopic.STATUS),
    **dict.fromkeys(("newsletter", "newsletters", "marketing", "mailing", "mailings"), ColumnTopic.SUBSCRIBED),
}
"""Headings that speak of consent only if a value does: a `state` may be a part of a postal address."""
_SUSPECT = re.compile(
    r"subscri|abonn|newsletter|mail|consent|einwillig|zustimm|werb|marketing|promo|advert|publicit|contact|kontakt|"
    r"opt_?(in|out)|permission|erlaub|wunsch|exclu|pending|valid|deliverab|confirm|bestatig|verif|disabled|deaktiv|"
    r"activ(?!it)|aktiv|spam|block|banned|inscri|suscri|baja|iscri|отпис|подпис|рассыл|соглас|статус|актив|配信|停止|購読|订阅|訂閱|退订|구독|수신"
)
"""Parts of headings that may speak of consent in some way that the lists above do not know."""
_OTHER_CHANNEL = re.compile(r"sms|phone|tel\b|telefon|whatsapp|push|postal|fax|html|format|(_|^)url")
"""What is about another way to reach a person, or about the form of the mail."""
_NO_CONSENT = frozenset({"state_since", "state_why", "created_at", "confirm_time", "optin_time", "active_subscription"})
"""Headings that this package or another service uses for something else; Substack's last one is about payment."""
_REQUIRED = frozenset({ColumnTopic.STATUS, ColumnTopic.SUBSCRIBED, ColumnTopic.CONFIRMED})
"""Topics whose empty cells leave a row undecided."""

_Words = Mapping[str, SubscriberState]


class Service(NamedTuple):
    """An export of another service whose headings or words need more than the general lists."""

    headings: frozenset[str]
    """All of these must be there."""
    topics: Mapping[str, ColumnTopic | None] = MappingProxyType({})
    """By heading; None for a column that is not about consent."""
    words: _Words = MappingProxyType({})
    """By folded word, for its status columns."""


_ACTIVE, _PAUSED, _PENDING = SubscriberState.ACTIVE, SubscriberState.PAUSED, SubscriberState.PENDING
_LEFT, _BOUNCE, _COMPLAINT = SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED, SubscriberState.COMPLAINED
SERVICES: Mapping[str, Service] = {
    "Substack": Service(frozenset({"active_subscription", "email_disabled"}), {"active_subscription": None}),
    "Ghost": Service(frozenset({"subscribed_to_emails"}), {"subscribed_to_emails": ColumnTopic.SUBSCRIBED}),
    "Buttondown": Service(
        frozenset({"type", "creation_date"}),
        {"type": ColumnTopic.STATUS},
        {
            **dict.fromkeys(("past due", "churning", "churned"), _ACTIVE),
            **dict.fromkeys(("unpaid", "upcoming"), _PENDING),
            "spammy": _COMPLAINT,
        },
    ),
    "phpList": Service(
        frozenset({"confirmed", "blacklisted"}),
        {"optedin": None, "bouncecount": None, "blacklisted": ColumnTopic.UNSUBSCRIBED},
    ),
    "Mailman": Service(
        frozenset({"delivery_status"}),
        {"delivery_status": ColumnTopic.STATUS, "role": ColumnTopic.STATUS},
        {"unknown": _PAUSED, "member": _ACTIVE, "nonmember": _LEFT, "owner": _LEFT, "moderator": _LEFT},
    ),
    "MailPoet": Service(frozenset({"global_status"}), {}, {"inactive": _PAUSED}),
    "beehiiv": Service(frozenset({"subscription_tier", "status"}), {}, {"needs attention": _PAUSED}),
    "Brevo": Service(
        frozenset({"email_blacklisted"}), {"sms_blacklisted": None, "double_opt_in": None, "opt_in": None}
    ),
    "AWeber": Service(
        frozenset({"stop_time", "stop_status"}), {"stop_time": None, "stop_status": ColumnTopic.UNSUBSCRIBED}
    ),
    "CleverReach": Service(
        frozenset({"activated", "deactivated"}), {"activated": ColumnTopic.CONFIRMED_AT, "registered": None}
    ),
}


class RowConsent(NamedTuple):
    """What the consent columns of one row say together."""

    state: SubscriberState | None
    """None where they say nothing."""
    unknown: tuple[tuple[int, str], ...]
    """Index and value of the cells that are not understood."""


@dataclass(slots=True, kw_only=True)
class ConsentReader:
    """The consent columns of one file."""

    topics: dict[int, ColumnTopic]
    """By index of the column."""
    words: dict[str, SubscriberState]
    """What the operator and the service mean by a word."""
    free_text: set[int] = field(default_factory=set)
    """Columns in which only the unmistakable words count."""
    other: frozenset[int] = frozenset()
    """Columns that a service uses for something else."""

    def read(self, cells: Sequence[str]) -> RowConsent:
        """Return the state of a row: of several that it names the most restrictive one."""
        states: list[SubscriberState] = []
        unknown: list[tuple[int, str]] = []
        empty: list[tuple[int, str]] = []
        for index, topic in self.topics.items():
            reading = self.reading(topic, cells[index])
            if reading is UNKNOWN:
                unknown.append((index, cells[index].strip()))
            elif isinstance(reading, SubscriberState):
                states.append(reading)
            elif topic in _REQUIRED:
                empty.append((index, cells[index].strip()))
        states += [state for index in self.free_text for state in _tag_states(cells[index])]
        state = most_restrictive(states) if states else None
        if state is None:
            return RowConsent(None, (*unknown, *empty))
        # A row that is not mailed anyway needs no further question.
        return RowConsent(state, tuple(unknown) if state is SubscriberState.ACTIVE else ())

    def reading(self, topic: ColumnTopic, cell: str) -> SubscriberState | CellReading:
        """Read one cell; the operator's words and those of the service come first."""
        if self.words and (state := self.words.get(fold_word(cell))) is not None:
            return state
        return read_cell(topic, cell)


def find_consent_columns(
    keys: Sequence[str],
    *,
    skip: Iterable[int],
    state_columns: Iterable[int] = (),
    words: _Words = MappingProxyType({}),
) -> ConsentReader:
    """Find the columns whose headings speak of consent. `skip` are columns that mean something else for certain."""
    services = [service for service in SERVICES.values() if service.headings <= set(keys)]
    known: dict[str, ColumnTopic | None] = {}
    service_words: dict[str, SubscriberState] = {}
    for service in services:
        known |= service.topics
        service_words |= service.words
    skipped = set(skip)
    topics = {
        index: topic
        for index, key in enumerate(keys)
        if index not in skipped and (topic := known[key] if key in known else _topic(key)) is not None
    }
    topics |= dict.fromkeys(state_columns, ColumnTopic.STATUS)
    own_words = {fold_word(word): state for word, state in words.items()}
    other = frozenset(index for index, key in enumerate(keys) if known.get(key, ColumnTopic.STATUS) is None)
    return ConsentReader(topics=topics, words={**service_words, **own_words}, other=other)


def consent_key(heading: str) -> str:
    """Return the form in which headings about consent are compared: `emailBlacklisted` is `email_blacklisted`."""
    return fold_word(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", heading)).replace(" ", "_")


def _topic(key: str) -> ColumnTopic | None:
    if key in _NO_CONSENT:
        return None
    exact = next((topic for pattern, topic in _TOPICS if pattern.fullmatch(key)), None)
    if exact is not None or _FIGURE.search(key):
        return exact
    return next((topic for pattern, topic in _STEMS if pattern.search(key)), None)


@dataclass(slots=True, kw_only=True)
class ConsentSurvey:
    """One reading of the whole file, after which every consent column is known, and every value that is not."""

    keys: Sequence[str]
    reader: ConsentReader
    optin_index: int | None
    candidates: dict[int, Counter[str]]
    """Values of the other columns, as long as they are few."""
    unknown: Counter[tuple[int, str]] = field(default_factory=Counter)
    filled: set[int] = field(default_factory=set)
    """Consent columns that hold any value at all; one that is empty in all rows says nothing."""
    empty_optin: int = 0
    """Rows whose OPTIN_TIME is empty."""

    def add(self, cells: Sequence[str]) -> None:
        """Take one row into account."""
        if self.optin_index is not None and not cells[self.optin_index].strip():
            self.empty_optin += 1
        self._add_consent(cells, 1)
        for index, values in self.candidates.items():
            cell = cells[index][:CELL_CHARACTERS_MAX]
            if cell in values or len(values) <= CATEGORY_VALUES_MAX:
                values[cell] += 1
            elif index not in self.reader.free_text and _tag_states(cell):
                self.reader.free_text.add(index)

    def add_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Take rows into account as `add` does one by one; values that are alike are looked at once."""
        counted = {index: Counter(map(itemgetter(index), rows)) for index in self.candidates}
        may_be_free_text = counted.keys() - self.reader.free_text
        if any(_tag_states(cell[:CELL_CHARACTERS_MAX]) for index in may_be_free_text for cell in counted[index]):
            # A column that turns out to be free text counts from the next row on.
            for cells in rows:
                self.add(cells)
            return
        if self.optin_index is not None:
            self.empty_optin += sum(not cells[self.optin_index].strip() for cells in rows)
        if self.reader.topics:
            consent_cells = itemgetter(*self.reader.topics, *self.reader.free_text)
            examples = dict(zip(map(consent_cells, rows), rows, strict=True))
            for cells, count in Counter(map(consent_cells, rows)).items():
                self._add_consent(examples[cells], count)
        for index, counts in counted.items():
            values = self.candidates[index]
            for cell, count in counts.items():
                value = cell[:CELL_CHARACTERS_MAX]
                if value in values or len(values) <= CATEGORY_VALUES_MAX:
                    values[value] += count

    def _add_consent(self, cells: Sequence[str], count: int) -> None:
        """Take the consent columns of so many rows into account, in which they are the same."""
        if not self.reader.topics:
            return
        for index in self.reader.topics.keys() - self.filled:
            if cells[index].strip():
                self.filled.add(index)
        for index, cell in self.reader.read(cells).unknown:
            value = cell[:CELL_CHARACTERS_MAX]
            if len(self.unknown) < _UNKNOWN_KEPT_MAX or (index, value) in self.unknown:
                self.unknown[index, value] += count

    def finish(self) -> None:
        """Decide about the columns whose values alone speak of consent."""
        for index in self.reader.topics.keys() - self.filled:
            del self.reader.topics[index]
        for index, values in self.candidates.items():
            self._judge_candidate(index, values)
        self.unknown = Counter({item: count for item, count in self.unknown.items() if item[0] in self.reader.topics})

    def _judge_candidate(self, index: int, values: Counter[str]) -> None:
        topic = _AMBIGUOUS.get(self.keys[index])
        speaks = any(_tag_states(value) for value in values)
        if len(values) > CATEGORY_VALUES_MAX:
            if speaks:
                self.reader.free_text.add(index)
            return
        if topic is not None and not speaks:
            speaks = any(isinstance(self.reader.reading(topic, value), SubscriberState) for value in values)
        if not speaks and not self._may_speak(index, values):
            return
        topic = topic or ColumnTopic.STATUS
        if self.keys[index] in _LISTS:
            self.reader.free_text.add(index)
            return
        self.reader.topics[index] = topic
        for value, count in values.items():
            if self.reader.reading(topic, value) is UNKNOWN:
                self.unknown[index, value.strip()] += count

    def _may_speak(self, index: int, values: Counter[str]) -> bool:
        """Tell whether a column of yes and no may be about consent: whether "yes" is for or against is not known."""
        key = self.keys[index]
        about_consent = _SUSPECT.search(key) and not _OTHER_CHANNEL.search(key) and not _FIGURE.search(key)
        return bool(about_consent) and any(map(str.strip, values)) and all(is_yes_or_no(value) for value in values)


_UNKNOWN_KEPT_MAX = 1_000
_LISTS = frozenset({"tags", "labels", "lists", "list", "segments", "groups", "notes", "note"})
"""Columns that hold words of many kinds side by side."""


def start_survey(keys: Sequence[str], reader: ConsentReader, *, skip: Iterable[int]) -> ConsentSurvey:
    """Return the survey of a file with these headings; `skip` are columns that cannot speak of consent."""
    skipped = {*skip, *reader.topics, *reader.other, *(index for index, key in enumerate(keys) if key in _NO_CONSENT)}
    return ConsentSurvey(
        keys=keys,
        reader=reader,
        optin_index=keys.index("optin_time") if "optin_time" in keys else None,
        candidates={index: Counter() for index in range(len(keys)) if index not in skipped},
    )


@lru_cache(maxsize=16_384)
def _tag_states(cell: str) -> tuple[SubscriberState, ...]:
    if not cell or cell[0].isdigit() or len(cell) > CELL_CHARACTERS_MAX:
        return ()
    words = (cell, *re.split("[,;|]", cell)) if re.search("[,;|]", cell) else (cell,)
    return tuple(state for word in words if (state := word_of_consent(word)) is not None)
