"""Words with which other services and address books tell whether somebody gets mail.

In: the text of one cell, and what its column is about. Out: a `SubscriberState`, `SILENT` for a cell that tells
nothing, or `UNKNOWN` for a word that is not in these lists. A caller must never read `UNKNOWN` as "active".
Languages: English, German, French, Spanish, Dutch, Italian, Portuguese; the commonest words in Polish, Czech,
Hungarian, the Nordic languages, Turkish, Russian, Japanese, Chinese and Korean. Words are compared without accents and
case.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import lru_cache
from typing import Final

from newsletter.core.subscriber import SubscriberState


class CellReading(Enum):
    """Readings of a cell that are no state."""

    SILENT = "silent"
    """Empty, or a "no" in a column such as `unsubscribed`."""
    UNKNOWN = "unknown"


SILENT: Final = CellReading.SILENT
UNKNOWN: Final = CellReading.UNKNOWN


class ColumnTopic(Enum):
    """What the cells of a consent column answer."""

    STATUS = "status"
    """A word: `subscribed`, `unsubscribed`, `bounced`."""
    SUBSCRIBED = "subscribed"
    """Yes means subscribed, no means unsubscribed."""
    CONFIRMED = "confirmed"
    """Yes or a date means confirmed, no means pending."""
    CONFIRMED_AT = "confirmed at"
    """A date means confirmed; an empty cell means pending."""
    UNSUBSCRIBED = "unsubscribed"
    """Yes or a date means unsubscribed."""
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED_DETAIL = "unsubscribed detail"
    """A date or a reason: any text means unsubscribed."""
    BOUNCED_DETAIL = "bounced detail"
    COMPLAINED_DETAIL = "complained detail"


_UNAMBIGUOUS = {
    SubscriberState.UNSUBSCRIBED: (
        "unsubscribed, unsubscribe, unsub, opted out, opt out, optout, optedout, blocklisted, block listed, "
        "blocklist, "
        "blacklisted, black listed, blacklist, suppressed, not subscribed, non subscribed, nonsubscribed, "
        "never subscribed, do not mail, do not email, do not contact, unsubscribed by admin, unsubscribed by user, "
        "globally unsubscribed, global unsubscribe, "
        "abgemeldet, abbestellt, ausgetragen, nicht abonniert, nicht angemeldet, "
        "desabonne, desabonnee, desinscrit, desinscrite, non abonne, non abonnee, non inscrit, non inscrite, "
        "dado de baja, dada de baja, desuscrito, desuscrita, desinscrito, desinscrita, no suscrito, "
        "no suscrita, cancelada la suscripcion, uitgeschreven, afgemeld, niet ingeschreven, niet geabonneerd, "
        "disiscritto, disiscritta, non iscritto, non iscritta, "
        "descadastrado, descadastrada, nao inscrito, nao inscrita, nao subscrito, nao subscrita, subscricao cancelada, "
        "wypisany, wypisana, odhlasen, odhlasena, leiratkozott, avregistrerad, avanmald, avmeldt, afmeldt, frameldt, "
        "abonelikten cikti, отписан, отписана, отписался, отписалась, 配信停止, 購読解除, 退会, 退会済み, "
        "已退订, 退订, 取消订阅, 已取消订阅, 수신거부, 수신 거부, 구독취소, 구독 취소"
    ),
    SubscriberState.BOUNCED: (
        "bounced, hard bounced, hard bounce, hardbounce, hardbounced, undeliverable, unreachable, "
        "by bounces, permanent bounce, unzustellbar, nicht zustellbar, "
        "rejete, rejetee, non delivrable, rebotado, rebotada, no entregable, "
        "onbestelbaar, gebounced, respinto, respinta, rimbalzato, rimbalzata, devolvido, devolvida, "
        "odbity, odbita, недоставлено, ошибка доставки, エラー停止, 配信エラー, 退信, 반송"
    ),
    SubscriberState.COMPLAINED: (
        "complained, complainer, spam complaint, marked as spam, reported as spam, als spam markiert, "
        "signale comme spam, marcado como spam, als spam gemarkeerd, segnalato come spam, contrassegnato come spam"
    ),
    SubscriberState.PENDING: (
        "unconfirmed, not confirmed, unverified, not verified, awaiting confirmation, pending confirmation, "
        "confirmation pending, opt in pending, optin pending, unactivated, not activated, "
        "unbestatigt, nicht bestatigt, non confirme, non confirmee, sin confirmar, no confirmado, no confirmada, "
        "onbevestigd, niet bevestigd, non confermato, non confermata, nao confirmado, nao confirmada, "
        "pendiente de confirmacion, pendente de confirmacao, aguardando confirmacao, in attesa di conferma, "
        "en attente de confirmation, wacht op bevestiging, bestatigung ausstehend, niepotwierdzony, niepotwierdzona, "
        "не подтвержден, не подтверждена, 未確認, 仮登録, 未确认, 待确认, 미확인"
    ),
}
"""Words that speak of consent in whatever column they stand."""

_IN_STATUS_COLUMNS = {
    SubscriberState.ACTIVE: (
        "active, activated, subscribed, subscriber, enabled, confirmed, verified, opted in, opt in, optin, optedin, "
        "express, explicit, express permission, regular, premium, paid, free, comped, gifted, trialed, single opt "
        "in, double opt in, "
        "aktiv, abonniert, angemeldet, bestatigt, eingetragen, actif, active, abonne, abonnee, inscrit, inscrite, "
        "confirme, confirmee, activo, activa, suscrito, suscrita, inscrito, inscrita, confirmado, confirmada, alta, "
        "actief, geabonneerd, ingeschreven, aangemeld, bevestigd, attivo, attiva, iscritto, iscritta, confermato, "
        "confermata, ativo, ativa, assinante, subscrito, subscrita, "
        "aktywny, aktywna, zapisany, zapisana, prihlasen, prihlasena, feliratkozott, registrerad, tilmeldt, pameldt, "
        "abone, активен, активна, подписан, подписана, 配信中, 購読中, 登録済み, 有効, 已订阅, 正常, 구독중, 구독 중"
    ),
    SubscriberState.PAUSED: (
        "paused, suspended, snoozed, on hold, vacation, by user, by moderator, pausiert, ausgesetzt, en pause, "
        "suspendu, suspendue, pausado, pausada, suspendido, suspendida, gepauzeerd, in pausa, sospeso, sospesa, "
        "suspenso, suspensa"
    ),
    SubscriberState.PENDING: (
        "pending, waiting, validating, new, invited, ausstehend, wartend, offen, en attente, pendiente, wachtend, "
        "in afwachting, in attesa, pendente, aguardando"
    ),
    SubscriberState.BOUNCED: (
        "invalid, bounce, cleaned, failed, undelivered, dead, ungultig, invalide, invalido, invalida, ongeldig, "
        "non valido, non valida, nettoye, nettoyee, bereinigt, limpiado, depurado, opgeschoond, "
        "no valido, no valida, devuelto, devuelta, retourne, retournee, rejeitado, rejeitada"
    ),
    SubscriberState.COMPLAINED: (
        "reported, complaint, complaints, spam, spammy, abuse, junk, beschwerde, plainte, queja, klacht, reclamo, "
        "reclamacao, denuncia"
    ),
    SubscriberState.UNSUBSCRIBED: (
        "inactive, disabled, deactivated, cancelled, canceled, deleted, removed, blocked, excluded, banned, stopped, "
        "archived, baja, de baja, revoked, withdrawn, declined, refused, left, gone, no permission, no "
        "permissions set, "
        "inaktiv, gesperrt, geloscht, gekundigt, deaktiviert, widerrufen, ausgeschlossen, entfernt, storniert, "
        "inactif, inactive, bloque, bloquee, supprime, supprimee, resilie, resiliee, annule, annulee, exclu, exclue, "
        "desactive, desactivee, cancelado, cancelada, inactivo, inactiva, bloqueado, bloqueada, eliminado, "
        "eliminada, "
        "excluido, excluida, desactivado, desactivada, inactief, geblokkeerd, verwijderd, opgezegd, uitgesloten, "
        "cancellato, cancellata, inattivo, inattiva, bloccato, bloccata, eliminato, eliminata, disattivato, "
        "disattivata, rimosso, rimossa, escluso, esclusa, inativo, inativa, removido, removida, desativado, "
        "desativada, transactional, неактивен, неактивна, nieaktywny, nieaktywna, 停止, 無効, 解約, 已停用, 비활성"
    ),
}
"""Words that mean this in a column about consent, and may mean something else in another."""

_YES = frozenset(
    [
        "yes",
        "y",
        "true",
        "t",
        "1",
        "x",
        "on",
        "ja",
        "j",
        "wahr",
        "oui",
        "o",
        "vrai",
        "si",
        "s",
        "verdadero",
        "sim",
        "verdadeiro",
        "vero",
        "waar",
        "✓",
        "✔",
        "☑",
        "checked",
    ]
)
_NO = frozenset(
    [
        "no",
        "n",
        "false",
        "f",
        "0",
        "off",
        "nein",
        "falsch",
        "non",
        "faux",
        "falso",
        "nao",
        "nee",
        "onwaar",
        "☐",
        "✗",
        "✘",
        "unchecked",
    ]
)
_NOTHING = frozenset({"", "null", "none", "nil", "n a", "na", "never", "nie", "jamais", "nunca", "nooit", "mai"})
_ZERO_DATE = re.compile(r"0000-00-00.*|0")
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b.*|\d{8,13}(\.\d+)?|.*\b(19|20)\d\d\b.*", re.DOTALL)

_STATE_OF_TOPIC = {
    ColumnTopic.UNSUBSCRIBED: SubscriberState.UNSUBSCRIBED,
    ColumnTopic.UNSUBSCRIBED_DETAIL: SubscriberState.UNSUBSCRIBED,
    ColumnTopic.BOUNCED: SubscriberState.BOUNCED,
    ColumnTopic.BOUNCED_DETAIL: SubscriberState.BOUNCED,
    ColumnTopic.COMPLAINED: SubscriberState.COMPLAINED,
    ColumnTopic.COMPLAINED_DETAIL: SubscriberState.COMPLAINED,
}
_DETAILS = frozenset(
    {ColumnTopic.UNSUBSCRIBED_DETAIL, ColumnTopic.BOUNCED_DETAIL, ColumnTopic.COMPLAINED_DETAIL},
)


def fold_word(text: str) -> str:
    """Return the form in which words are compared: lower case, no accents, blanks for punctuation, no `(e)`."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(letter)
    )
    plain = re.sub(r"\((e|a|in|s|es)\)|[·.](e|a)\b", "", plain)
    return " ".join(re.sub(r"[\s_\-/.,;:!?'\"`()\[\]\u2019\\]+", " ", plain).split())


def _by_word(lists: dict[SubscriberState, str]) -> dict[str, SubscriberState]:
    return {fold_word(word): state for state, words in lists.items() for word in words.split(", ")}


_UNAMBIGUOUS_WORDS = _by_word(_UNAMBIGUOUS)
_STATUS_WORDS = {**_by_word(_IN_STATUS_COLUMNS), **_UNAMBIGUOUS_WORDS}


def is_yes_or_no(cell: str) -> bool:
    """Tell whether a cell is a yes, a no, or empty."""
    return fold_word(cell) in _YES | _NO | _NOTHING


@lru_cache(maxsize=4_096)
def word_of_consent(cell: str) -> SubscriberState | None:
    """Return the state that a word means in any column at all; None for every other text."""
    return _UNAMBIGUOUS_WORDS.get(fold_word(cell))


@lru_cache(maxsize=16_384)
def read_cell(topic: ColumnTopic, cell: str) -> SubscriberState | CellReading:
    """Read one cell of a column about consent."""
    word = fold_word(cell)
    if word in _NOTHING - _NO or cell.strip() == r"\N":
        return SubscriberState.PENDING if topic is ColumnTopic.CONFIRMED_AT else SILENT
    if topic is ColumnTopic.STATUS:
        return _STATUS_WORDS.get(word, UNKNOWN)
    if topic in {ColumnTopic.SUBSCRIBED, ColumnTopic.CONFIRMED, ColumnTopic.CONFIRMED_AT}:
        return _read_consent(topic, cell, word)
    return _read_refusal(topic, cell, word)


def _read_consent(topic: ColumnTopic, cell: str, word: str) -> SubscriberState | CellReading:
    negative = SubscriberState.UNSUBSCRIBED if topic is ColumnTopic.SUBSCRIBED else SubscriberState.PENDING
    if word in _NO or _ZERO_DATE.fullmatch(cell.strip()):
        return negative
    if word in _YES:
        return SubscriberState.ACTIVE
    if word in _STATUS_WORDS:
        return _STATUS_WORDS[word]
    return SubscriberState.ACTIVE if _DATE.fullmatch(cell.strip()) else UNKNOWN


def _read_refusal(topic: ColumnTopic, cell: str, word: str) -> SubscriberState | CellReading:
    state = _STATE_OF_TOPIC[topic]
    if word in _NO or _ZERO_DATE.fullmatch(cell.strip()):
        return SILENT
    if word in _UNAMBIGUOUS_WORDS:
        return _UNAMBIGUOUS_WORDS[word]
    if word in _YES or topic in _DETAILS or word.isdigit() or _DATE.fullmatch(cell.strip()):
        return state
    status = _STATUS_WORDS.get(word, UNKNOWN)
    # `active` in a column such as `unsubscribed` may mean either: the subscription, or the refusal.
    return UNKNOWN if status is SubscriberState.ACTIVE else status
