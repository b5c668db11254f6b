"""Exporting one person: everything the database knows of them, for their right of access (GDPR, article 15).

In: an address. Out: one document of plain values, times in ISO 8601 and UTC. Nothing is
changed; the keyed hash by which an erased address is known is not part of it. What people wrote in words is handed out
as it stands.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from newsletter.core.address import parse_address
from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.core.token import Keyring, suppression_hashes
from newsletter.flows.erase_subscriber import spellings_of
from newsletter.flows.export_subscribers import as_json
from newsletter.store import address_change as address_changes
from newsletter.store import backlog as backlogs
from newsletter.store import erasure, report
from newsletter.store import link_request as link_requests
from newsletter.store import log as logs
from newsletter.store import notice as notices
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Tx, Unit

_ENTRIES_MAX = 1_000_000


def export_person(unit: Unit, keyring: Keyring, email: str, *, now: datetime) -> dict[str, Any] | None:
    """Return everything that is known; None for an address that is not on the list and was never erased."""
    address = parse_address(email)
    with unit.read() as tx:
        person = subscribers.by_canonical(tx, address.canonical)
        hashes = suppression_hashes(keyring, address.canonical)
        since = subscribers.suppressed_since(tx, hashes)
        reason = subscribers.suppression_reason(tx, hashes)
        if person is None and since is None:
            return None
        addresses = spellings_of({address.email} if person is None else _addresses(tx, person))
        return {
            "exported_at": now.isoformat(timespec="seconds"),
            "email": address.email if person is None else person.email,
            "subscriber": None if person is None else as_json(person),
            "consent": [] if person is None else _consents(tx, person.id),
            "editions": [] if person is None else _editions(tx, person.id),
            "pause_ends_at": None if person is None else _iso(subscribers.pause_end(tx, person.id)),
            "missed_tips": None if person is None else _backlog(tx, person.id),
            "private_links": [] if person is None else _private_links(tx, person.id),
            "sign_ups": _signups(tx, addresses),
            "address_changes": [] if person is None else _address_changes(tx, person.id),
            "notices": _notices(tx, addresses),
            "suppression": None if since is None else {"since": since.isoformat(), "reason": reason},
            "log": [] if person is None else _log(tx, person.id),
            "mentions": [
                {"where": where, "words": words}
                for where, words in erasure.mentions(tx, addresses)
                # Mails to others about this person only repeat what an alert says.
                if where != "notice"
            ],
        }


def _addresses(tx: Tx, person: Subscriber) -> set[str]:
    return {person.email, *erasure.former_addresses(tx, person.id)}


def _consents(tx: Tx, who: SubscriberId) -> list[dict[str, Any]]:
    return [
        {
            "at": consent.at.isoformat(),
            "action": consent.action,
            "channel": consent.channel,
            "source": consent.source,
            "evidence": dict(consent.evidence),
        }
        for consent in subscribers.consents(tx, who)
    ]


def _editions(tx: Tx, who: SubscriberId) -> list[dict[str, Any]]:
    return [
        {
            "edition": row.edition,
            "title": row.title,
            "outcome": row.state.value,
            "why": row.reason,
            "attempts": row.attempts,
            "first_attempt_at": _iso(row.first_attempt_at),
            "last_attempt_at": _iso(row.last_attempt_at),
            "next_attempt_at": _iso(row.next_attempt_at),
            "server_said": row.reply,
            "later": row.later,
            "later_at": _iso(row.later_at),
            "later_said": row.later_text,
        }
        for row in report.rows(tx, who=who)
    ]


def _backlog(tx: Tx, who: SubscriberId) -> dict[str, Any] | None:
    item = backlogs.of_person(tx, who)
    if item is None:
        return None
    return {"since": _iso(item.since), "pause_ended_at": _iso(item.resumed_at), "next_at": _iso(item.next_at)}


def _private_links(tx: Tx, who: SubscriberId) -> list[dict[str, Any]]:
    return [{"asked_at": asked.asked_at.isoformat()} for asked in link_requests.of_person(tx, who)]


def _signups(tx: Tx, addresses: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "asked_at": stored.request.asked_at.isoformat(),
            "asked_from": stored.request.network,
            "asked_on": stored.request.origin,
            "first_name": stored.request.first_name,
            "time_zone": stored.request.time_zone,
            "wording": signups.wording_text(tx, stored.request.wording),
            "mail": stored.mail.value if stored.mail else "",
            "why": stored.why,
            "confirmed_at": _iso(stored.confirmed_at),
        }
        for stored in signups.of_addresses(tx, addresses)
    ]


def _address_changes(tx: Tx, who: SubscriberId) -> list[dict[str, Any]]:
    return [
        {
            "asked_at": stored.change.asked_at.isoformat(),
            "asked_from": stored.change.network,
            "from": stored.change.old_email,
            "to": stored.change.email,
            "why": stored.why,
            "confirmed_at": _iso(stored.confirmed_at),
        }
        for stored in address_changes.of_person(tx, who)
    ]


def _notices(tx: Tx, addresses: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "kind": address.key.kind.value,
            "about": address.key.about,
            "to": address.recipient,
            "written_at": address.created_at.isoformat(),
            "state": address.state.value,
            "why": address.reason,
            "message": address.message,
        }
        for address in notices.to_addresses(tx, addresses)
    ]


def _log(tx: Tx, who: SubscriberId) -> list[dict[str, Any]]:
    entries = logs.latest(tx, count=_ENTRIES_MAX, about=f"subscriber {who}")
    return [
        {"at": entry.at.isoformat(), "who": entry.who, "what": entry.what, "why": entry.why}
        for entry in reversed(entries)
    ]


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
