"""Patterns for the words of mail servers, by what the words are about; searched in any case of letters.

In: nothing. Out: the long patterns of `core/reply_rules.py`. They follow the grammar of such replies, a subject (the
sender, a quota, a mailbox) beside a predicate (refused, exceeded, unknown), and not the wording of one provider. What
they know in English is said here; the same sentences in other languages come from `core/reply_words.py`.
"""

from __future__ import annotations

from newsletter.core import reply_words


def _beside(subject: str, predicate: str, *, unless: str = "") -> str:
    """Return a pattern for a subject and a predicate in either order, as an alternative of its own.

    It matches from the beginning of a text, and looks for both words first: most texts lack one.
    """
    guard = rf"(?!.*{unless})" if unless else ""
    near = rf"(?:{subject}.{{0,60}}?{predicate}|{predicate}.{{0,30}}?{subject})"
    return rf"^(?=.*{subject})(?=.*{predicate}){guard}.*{near}"


_PERIOD = (
    r"(\b(daily|hourly|weekly|monthly)\b|\b(per|a|an|each|every|this|for the) (minute|hour|day|month)\b"
    r"|\b\d+ ?/ ?(hour|day|h|d)\b|\b24.?h(ours?)?\b|\btoday\b)"
)
_LIMIT = r"(quota|limit|allowance|allotment|\bmax(imum)?\b|\bcap\b)"
_OUR_TRAFFIC = (
    r"(\bsend(ing|er'?s?)?\b|\bsent\b|\brelay(ing|ed)?\b|submission|\boutbound\b|\boutgoing\b|\bsmtp\b|\bcustomer\b"
    r"|\bclient\b|\bmessage recipients\b|\bemails? rate\b|\bmessage rate\b)"
)
_NOT_SPACE = r"(?!.*\b(size|storage|bytes|[kmg]b|disk|attachments?|header|line)\b)"
_NOT_MAILBOX = r"(?!.*\b(mail ?box|in-?box|recipient'?s? (mail ?box|in-?box|quota|storage))\b)"
_SPACE_OR_BOX = rf"(?:{reply_words.BOX_WORDS}|\b(?:size|mail ?box)\b)"
OUR_QUOTA = (
    rf"^{_NOT_SPACE}(.*{_PERIOD}.{{0,80}}{_LIMIT}|.*{_LIMIT}.{{0,80}}{_PERIOD})"
    rf"|^{_NOT_SPACE}{_NOT_MAILBOX}(.*{_OUR_TRAFFIC}.{{0,50}}(quota|limit)|.*(quota|limit).{{0,50}}{_OUR_TRAFFIC}"
    rf"|.*\b(your|you'?ve|you have)\b.{{0,60}}\b(quota|limit))"
    r"|submission.?quota|\bsent too many (messages|e?-?mails|recipients)"
    r"|\btenant\b.{0,40}exceeded.{0,20}(threshold|limit)"
    r"|unusual sending (activity|rate|amount|volume)|\bslow(er)? down\b"
    rf"|^(?!.*{_SPACE_OR_BOX}).*{reply_words.TOO_MANY_WORDS}"
    r"|too many (unknown|invalid|bad|non-?existent) (users|recipients|addresses)"
    rf"|{_beside(reply_words.LIMIT_WORDS, reply_words.EXCEEDED_WORDS, unless=_SPACE_OR_BOX)}"
)
"""A quota or a limit is ours when it counts by time, counts what is sent or relayed, or is said to be yours."""

BLOCKED = (
    r"\bspam|spamhaus|block.?list|black.?list|deny.?list|\bblocked\b|\bbanned\b|(?<!not )\blisted\b|reputation"
    r"|unsolicited|\b(SC|OU|DY)-\d{3}|\[(BL|HM|CS)\d{2}\]|\bIP ?= ?[\d.]+"
    rf"|{reply_words.BLOCKED_WORDS}"
)
_REFUSED = (
    r"(reject|denied|\bdeny|refus|forbidden|disallow|unauthori[sz]ed|unverified|unknown|invalid|mismatch|unroutable"
    r"|unrouteable|suspended|verif(y|ication) (fail|error)|\bfailed\b|\bnot? (be )?(\w+ )?(owned|own|permitted|allowed"
    r"|authori[sz]ed|verified|verifiable|valid|accepted|acceptable|registered|found|exists?|resolve|match"
    r"|routable|belong)"
    r"|(does not|doesn'?t) (exist|resolve|match|belong|own|have)|could not be verified|cannot be verified"
    r"|can'?t be verified)"
)
_SENDER_NOUN = (
    r"\b((?<!original )(?<!as )senders?\b|mail[ -]from\b|return[- ]path|reverse[- ]path|envelope[- ]from"
    r"|from:? (e-?mail )?(address|domain|header|field|identity)|from:|sending (address|domain|identity)"
    r"|5322\.?from|5321\.?mailfrom)"
)
SENDER_REFUSED = (
    rf"{_SENDER_NOUN}(?:[^.;]|\.(?!\s)){{0,80}}?{_REFUSED}"
    r"|\b(un(authori[sz]ed|verified|known|registered|accepted)|invalid|bad|forbidden|illegal|unacceptable|unroutable"
    r"|unrouteable|rejected|denied|refused|wrong|verify (your |the )?) ?(envelope |mail |e-?mail )?"
    r"(senders?\b|from address|return[- ]path|sending (address|domain|identity))"
    r"|\bsender (verify|verification|callout)|verify (your |the )?sender|\b(fake|forged|spoofed) (mail )?senders?\b"
    r"|\b(no|not|can'?t|cannot|could not|couldn'?t|unable to|invalid)\b.{0,40}\b(for|of|from) (the )?sender\b"
    rf"|{_beside(reply_words.SENDER_WORDS, f'(?:{reply_words.UNKNOWN_WORDS}|{reply_words.REFUSED_WORDS})')}"
    r"|not (allowed|permitted|authori[sz]ed|entitled) to (send|submit|use (this|the) (address|sender|from))"
    r"|permissions? to (send|relay)|not owned by|send.?as.?denied|(email|from) address is not verified"
    r"|identit(y|ies).{0,60}not verified"
    r"|domain.{0,80}is not verified|sending domain.{0,40}not (verified|found|registered)"
)
"""The sender, whatever the word for it, beside a word of refusal, in either order."""
RECIPIENT_RESTRICTS = (
    r"^(?=.*(\bnot\b|denied|reject|restrict|allowed|accept)).*("
    r"\b(to|for|by|of) (this|the|that) (recipient|user|group|list|mail ?box|distribution|mailing list|member)"
    r"|RESOLVER\.RST|allowed.?senders|accept(s|ed)? (mail|messages) (only )?from|sender.?not.?authenticated.?for"
    r")"
)
"""A mailbox or a list that takes mail from certain senders only."""
_NO_MAILBOX = (
    r"((user|mail ?box|recipient|account|addressee|address)\b(?!'s).{0,30}"
    r"(unknown|not (found|listed)|(does not|doesn'?t|not) (exist|have an? \S+ account)|no longer|marked as invalid)"
    r"|(unknown|no such|not a valid|invalid|non.?existent) (local |virtual )?"
    r"(user|mail ?box|recipient|account|person)\b"
    r"|\b(unknown|no such|not a valid|invalid (local|final delivery|destination|recipient)) (address|userid"
    r"|mail ?box)\b|\bis (an? )?(invalid|unknown) (e-?mail )?address"
    r"|\b(no( such| one|body)?|not a|none)\b.{0,20}\b(here )?by (this|that|the) name\b"
    r"|\bno( such)? (person|account|user|mail ?box) (is )?(here|at this address)|\bnot our customer"
    r"|\bno mail ?box (here )?with that name|\bnot listed in\b.{0,60}\b(directory|address book)\b"
    r"|address (not|could ?n[o']t be) found|account (is |has been |was )?(closed|deleted|cancell?ed|removed)\b)"
)
_ELSEWHERE = (
    r"(?:\b(?:senders?|your (?:\w+ )?account|virus|malware)\b"
    rf"|{reply_words.SENDER_WORDS}|{reply_words.YOUR_ACCOUNT_WORDS}|{reply_words.OTHER_SUBJECT_WORDS})"
)
_MAILBOX_WORDS = rf"(?:{reply_words.PERSON_WORDS}|{reply_words.BOX_WORDS})"
USER_UNKNOWN = (
    rf"^(?=.*{_NO_MAILBOX})(?!.*{_ELSEWHERE})"
    rf"|{_beside(_MAILBOX_WORDS, reply_words.UNKNOWN_WORDS, unless=_ELSEWHERE)}"
)
"""The mailbox, whatever the word for it, beside a word that there is none; not where something else may be missing."""
MAILBOX_FULL = (
    r"(mail ?box|in-?box|account) (is |has )?(full|over)|over.?quota|quota.{0,20}exceed|exceed.{0,30}quota"
    r"|mail ?box exceed|exceed.{0,30}mail ?box"
    r"|storage (limit|allocation)|out of storage|not enough (disk )?space"
    rf"|{_beside(reply_words.BOX_WORDS, f'(?:{reply_words.FULL_WORDS}|{reply_words.EXCEEDED_WORDS})')}"
)
NOT_THE_MAILBOX = rf"{reply_words.OTHER_SUBJECT_WORDS}|\bcan ?not send\b|\blists?\b|\bcustomers?\b"
"""A refusal that speaks of a connection, a login, a domain: nothing in it is about the reader."""
SERVER_FAULT = reply_words.INTERNAL_WORDS
GAVE_UP = (
    r"retry time(out)? (exceeded|not reached)|retry timeout|\b(message|envelope|queue|delivery( time)?"
    r"|retry)( time| has"
    r"| lifetime)? (has )?expired|could not deliver for the last|(after|for) (multiple|several|many|too many|\d+) "
    r"(retries|attempts|tries)|failed \d+ (attempts|times)|(in|on) (the )?queue (for )?too long"
    r"|too long in (the )?queue"
    r"|connection (was )?(timed ?out|refused|reset|failed|dropped)|connect to \S{1,200}|network (error|is unreachable)"
    r"|no route to host|host (is |was )?(unreachable|not reachable|not responding)|did not (accept our requests to"
    r" connect|respond|answer)|(lost|lose) connection|timed? ?out\b|gave up|given up|giving up (?!on \d)"
    r"|delivery deadline"
    r"|(internal|local|mailer|configuration|remote protocol|temporary|system) (\w+ )?(error|failure|problem)"
    r"|(host|domain).{0,40}not found,? try again"
    r"|routing loop|mail loop|hop count|too many hops|lock failure|service (is )?(currently )?unavailable"
    r"|(command|parameter) not implemented|(does not|doesn'?t) support tls|transaction failed"
)
"""Words of a server that could not deliver, of whatever reason: no word of the mailbox itself."""
GAVE_UP_FOR_NOW = rf"{GAVE_UP}|temporary failure|resources temporarily|bad (dns|ptr)|\bptr\b"
POLICY_REFUSED = (
    r"\bpolic(y|ies)\b|access denied|protocol violation|\bvirus|reverse dns|\b(r?dns|ptr|spf|dkim"
    r"|dmarc)\b (record|check|fail)"
    r"|\bPTR\b|\bSPF\b|\bDKIM\b|\bDMARC\b|\bRDNS\b|content reject|not accepting (mail|connections)|open relay"
    r"|no access from|\b(host|network|ip|server|connection)s?\b.{0,40}\b(not allowed|denied|refused|rejected|forbidden)"
    r"|message (was )?(not allowed|not accepted|rejected|refused)|mail (was )?(rejected|refused|rejete|not accepted)"
    r"|invalid ip|authentication checks?|security"
)

ACCOUNT_REFUSED = (
    r"\b(your|sender'?s?|sending|smtp|relay|customer|client'?s?) (\w+ )?(account|access|service|domain|license|plan"
    r"|subscription|privileges?)\b.{0,30}"
    r"\b(disabled|suspended|paused|locked|blocked|deactivated|restricted|terminated|expired|not (yet )?"
    r"(active|activated|enabled|approved|authori[sz]ed|verified))"
    rf"|{_beside(reply_words.YOUR_ACCOUNT_WORDS, f'(?:{reply_words.SUSPENDED_WORDS}|{reply_words.UNKNOWN_WORDS})')}"
    r"|sending (is|has been|was) (paused|disabled|suspended|blocked)|\b(insufficient|not enough|no|out of) (\w+ )?"
    r"credits?\b|payment required|\bunpaid\b|\bbilling\b"
)
"""Our account at the relay is closed, unpaid or not open yet."""
