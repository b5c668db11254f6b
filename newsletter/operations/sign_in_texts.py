"""The mails of signing in, in words: the one with link and code, and the one about a new browser.

In: a request or a session, and the sentences of the language. Out: letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.core.access import SIGN_IN_WITHIN, Session, SignIn
from newsletter.core.cadence import describe_instant
from newsletter.core.message import Publication
from newsletter.core.notice import NoticeKind
from newsletter.core.token import Keyring, sign_in_code
from newsletter.flows.ask_to_sign_in import sign_in_token
from newsletter.render.notice import Action, Fact, NoticeBody, Words
from newsletter.render.texts import Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLetters:
    """What both letters are made with."""

    publication: Publication
    keyring: Keyring
    zone: str
    texts: Texts

    def sign_in(self, request: SignIn) -> NoticeBody:
        """Return the mail whose link or code signs a person in."""
        words = self.texts["sign_in_mail"]
        code = sign_in_code(self.keyring, request.id, request.browser_hash)
        token = sign_in_token(self.keyring, request.id, now=request.asked_at)
        minutes = str(int(SIGN_IN_WITHIN.total_seconds() // 60))
        action = Action(
            label=words["button"],
            url=f"{self.publication.base_url}/admin/in/{token}",
            note=words["note"].format(code=code),
        )
        lead = [words["text"].format(browser=request.browser, minutes=minutes), words["ignore"]]
        return self._letter(NoticeKind.SIGN_IN, lead, [action], at=request.asked_at)

    def new_browser(self, session: Session) -> NoticeBody:
        """Return the mail about a browser that did not sign in before."""
        words = self.texts["new_browser_mail"]
        action = Action(label=words["button"], url=f"{self.publication.base_url}/admin/sessions", note=words["note"])
        facts = [
            Fact(label=words["browser"], value=Words(session.browser)),
            Fact(label=words["network"], value=Words(session.network)),
            Fact(label=words["time"], value=Words(describe_instant(session.created_at, self.zone))),
            Fact(label=words["method"], value=Words(session.method.words)),
        ]
        return self._letter(NoticeKind.NEW_BROWSER, [words["text"]], [action], at=session.created_at, facts=facts)

    def _letter(
        self,
        kind: NoticeKind,
        lead: Sequence[str],
        actions: Sequence[Action],
        *,
        at: datetime,
        facts: Sequence[Fact] = (),
    ) -> NoticeBody:
        words = self.texts[f"{kind.value.replace('-', '_')}_mail"]
        return NoticeBody(
            kind=kind,
            subject=words["subject"].format(name=self.publication.name),
            heading=words["heading"],
            lead=[Words(sentence) for sentence in lead],
            facts=facts,
            actions=actions,
            label=words["label"],
            footer=words["footer"].format(day=describe_instant(at, self.zone)),
        )
