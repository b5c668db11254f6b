"""The mails that a sign-up causes, in words: the confirmation, the word to a person who is on the list, the welcome.

In: a request and the sentences of the language. Out: letters. `core/signup.py` decides which of them is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from newsletter.core.address import mask_address
from newsletter.core.address_change import CHANGE_WITHIN, AddressChange
from newsletter.core.archive_page import PageEntry
from newsletter.core.cadence import Cadence, describe_date, describe_instant, is_zone, local
from newsletter.core.message import Publication
from newsletter.core.notice import NoticeKind
from newsletter.core.signup import CONFIRM_WITHIN, KEEP_SIGNUPS, Signup
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.token import (
    Keyring,
    LinkPurpose,
    LinkToken,
    confirmation_code,
    make_link_token,
    make_unsubscribe_token,
)
from newsletter.flows.own_settings import PRIVATE_LINK_LASTS
from newsletter.render.notice import Action, NoticeBody, Words
from newsletter.render.texts import Texts

WELCOME_TIPS_COUNT = 3
"""Tips of the archive that a new reader may read until the first one comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignupLetters:
    """What every letter is made with."""

    publication: Publication
    keyring: Keyring
    cadence: Cadence
    texts: Texts

    def confirm(self, request: Signup, *, now: datetime) -> NoticeBody:
        """Return the mail whose link or code confirms: nothing else is in it (no tip, no picture)."""
        words = self.texts["confirm_mail"]
        link = LinkToken(purpose=LinkPurpose.CONFIRM, id=request.id, expires_at=now + CONFIRM_WITHIN)
        code = confirmation_code(self.keyring, request.id)
        action = Action(
            label=words["button"],
            url=f"{self.publication.base_url}/c/{make_link_token(self.keyring, link)}",
            note=words["note"].format(code=code),
        )
        block = LinkToken(purpose=LinkPurpose.BLOCK, id=request.id, expires_at=request.asked_at + KEEP_SIGNUPS)
        stop = Action(
            label=words["block"],
            url=f"{self.publication.base_url}/block/{make_link_token(self.keyring, block)}",
            note=words["block_note"],
        )
        lead = [words["text"].format(name=self.publication.name), words["ignore"]]
        return self._letter(
            NoticeKind.CONFIRM, lead, [action, stop], asked_at=request.asked_at, time_zone=request.time_zone
        )

    def already(self, request: Signup, person: Subscriber, next_at: datetime) -> NoticeBody:
        """Return the mail to a person who is on the list."""
        words = self.texts["already_mail"]
        lead = [words["text"].format(name=self.publication.name)]
        if person.state is SubscriberState.PAUSED:
            lead.append(words["paused"])
        else:
            lead.append(words["next"].format(day=self._day(next_at, person.time_zone)))
        lead.append(words["spam"].format(sender=self.publication.from_email))
        return self._letter(
            NoticeKind.ALREADY, lead, [self._settings(person)], asked_at=request.asked_at, time_zone=person.time_zone
        )

    def welcome(
        self, request: Signup, person: Subscriber, next_at: datetime, latest: Sequence[PageEntry]
    ) -> NoticeBody:
        """Return the mail to a person who has just confirmed."""
        words = self.texts["welcome_mail"]
        lead = [
            words["text"].format(name=self.publication.name),
            words["next"].format(day=self._day(next_at, person.time_zone)),
            words["sender"].format(sender=self.publication.from_email),
        ]
        token = make_unsubscribe_token(self.keyring, person.id)
        leave = Action(label=words["leave"], url=f"{self.publication.base_url}/u/{token}", note=words["leave_note"])
        return self._letter(
            NoticeKind.WELCOME,
            lead,
            [leave, self._settings(person)],
            asked_at=request.asked_at,
            time_zone=person.time_zone,
            latest=latest,
        )

    def private_link(self, person: Subscriber, *, asked_at: datetime, now: datetime) -> NoticeBody:
        """Return the mail with the link to a person's own settings."""
        words = self.texts["private_link_mail"]
        link = LinkToken(purpose=LinkPurpose.PRIVATE, id=person.id, expires_at=now + PRIVATE_LINK_LASTS)
        url = f"{self.publication.base_url}/me/{make_link_token(self.keyring, link)}"
        action = Action(label=words["button"], url=url, note=words["note"])
        lead = [words["text"].format(name=self.publication.name)]
        return self._letter(NoticeKind.PRIVATE_LINK, lead, [action], asked_at=asked_at, time_zone=person.time_zone)

    def new_address(self, change: AddressChange, person: Subscriber, *, now: datetime) -> NoticeBody:
        """Return the mail that asks at a new address; it names the old one in part only, as it may be a stranger's."""
        words = self.texts["new_address_mail"]
        link = LinkToken(purpose=LinkPurpose.ADDRESS, id=change.id, expires_at=now + CHANGE_WITHIN)
        url = f"{self.publication.base_url}/address/{make_link_token(self.keyring, link)}"
        old = mask_address(person.email)
        lead = [words["text"].format(name=self.publication.name, old=old), words["ignore"]]
        action = Action(label=words["button"], url=url, note=words["note"])
        return self._letter(
            NoticeKind.NEW_ADDRESS, lead, [action], asked_at=change.asked_at, time_zone=person.time_zone
        )

    def address_changed(self, change: AddressChange, person: Subscriber) -> NoticeBody:
        """Return the mail that tells the old address; it names the new one in part only."""
        words = self.texts["address_changed_mail"]
        new = mask_address(change.email)
        lead = [
            words["text"].format(name=self.publication.name, new=new),
            words["not_you"].format(address=self.publication.reply_to),
        ]
        return self._letter(
            NoticeKind.ADDRESS_CHANGED,
            lead,
            [],
            asked_at=change.asked_at,
            time_zone=person.time_zone,
            footer="footer_old",
        )

    def _letter(
        self,
        kind: NoticeKind,
        lead: Sequence[str],
        actions: Sequence[Action],
        *,
        asked_at: datetime,
        time_zone: str,
        footer: str = "footer",
        latest: Sequence[PageEntry] = (),
    ) -> NoticeBody:
        words = self.texts[f"{kind.value.replace('-', '_')}_mail"]
        asked_on = describe_date(local(asked_at, self._zone(time_zone)).date())
        return NoticeBody(
            kind=kind,
            subject=words["subject"].format(name=self.publication.name),
            heading=words["heading"],
            lead=[Words(sentence) for sentence in lead],
            actions=actions,
            label=words["label"],
            reading_title=self.texts["reader_mail"]["latest"],
            reading=[self._tip(entry) for entry in latest],
            footer=self.texts["reader_mail"][footer].format(day=asked_on),
        )

    def _settings(self, person: Subscriber) -> Action:
        """Return the way to the settings: a page that mails the private link, since mails are forwarded."""
        words = self.texts["reader_mail"]
        token = make_unsubscribe_token(self.keyring, person.id)
        url = f"{self.publication.base_url}/p/{token}"
        return Action(label=words["settings"], url=url, note=words["settings_note"])

    def _tip(self, entry: PageEntry) -> Action:
        url = f"{self.publication.base_url}/tips/{quote(entry.slug, safe='')}"
        return Action(label=entry.title, url=url, note=describe_date(entry.published_on))

    def _day(self, moment: datetime, time_zone: str) -> str:
        return describe_instant(moment, self._zone(time_zone))

    def _zone(self, time_zone: str) -> str:
        return time_zone if is_zone(time_zone) else self.cadence.zone
