"""What the DNS says of a sender: SPF, DKIM, DMARC, MX, PTR, and what to publish where something is missing.

In: the domains of the newsletter, and a way to look a name up. Out: a verdict for each record. Sources: RFC 7208 (SPF),
RFC 6376 §3.6.1 (DKIM keys), RFC 9989 (DMARC), RFC 7505 (null MX), RFC 8461 (MTA-STS), and the rules of Gmail, Yahoo and
Microsoft for bulk senders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

SPF_LOOKUPS_MAX = 10
"""RFC 7208 §4.6.4: more are a permanent error, and Microsoft says so in its rules."""
DMARC_LABELS_MAX = 8
"""RFC 9989: the walk up the tree begins at most so deep."""

_LOOKING_UP = ("include:", "a", "mx", "ptr", "exists:", "redirect=")
_REMOVED_TAGS = ("pct", "rf", "ri")


class DnsStatus(StrEnum):
    """What came of a look-up."""

    FOUND = "found"
    NOTHING = "nothing"
    """The name exists, and has no record of this type."""
    NO_NAME = "no name"
    FAILED = "failed"
    """No server answered, or none could."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsAnswer:
    """The records of one name and type, as texts."""

    status: DnsStatus
    values: tuple[str, ...] = ()


LookUp = Callable[[str, str], DnsAnswer]
"""Takes a name and a type of record."""


class DnsLevel(StrEnum):
    """How a record stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsVerdict:
    """What is to be said of one record."""

    level: DnsLevel
    about: str
    text: str
    publish: str = ""
    """The record to publish, or what else to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimName:
    """Where a public key is published, and what must stand there."""

    name: str
    domain: str
    record: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDomains:
    """The names that receivers look up."""

    from_domain: str
    envelope_domain: str
    """Of the return address: what SPF is about."""
    reply_domain: str
    keys: Sequence[DkimName] = ()
    """Of the signatures that are made here; none where the mail server signs."""
    spf_include: str = ""
    """What the SPF record includes when the mail server is one that we know; empty when it cannot be known."""
    ehlo_name: str = ""
    """The name of this machine, where mail leaves from here; empty behind a provider."""
    public_host: str = ""
    """Of the unsubscribe links."""


def judge_sender(domains: SenderDomains, look_up: LookUp) -> Iterator[DnsVerdict]:
    """Look at everything that receivers look at."""
    yield _spf(domains, look_up)
    yield from (_dkim(key, look_up) for key in domains.keys)
    yield from _dmarc(domains, look_up)
    for name in dict.fromkeys((domains.from_domain, domains.reply_domain, domains.envelope_domain)):
        yield _mx(name, look_up)
    if domains.ehlo_name:
        yield _reverse(domains.ehlo_name, look_up)
    if domains.public_host:
        yield _host(domains.public_host, look_up)
    yield from _extras(domains, look_up)


def _ok(about: str, text: str) -> DnsVerdict:
    return DnsVerdict(level=DnsLevel.OK, about=about, text=text)


def _warn(about: str, text: str, publish: str = "") -> DnsVerdict:
    return DnsVerdict(level=DnsLevel.WARN, about=about, text=text, publish=publish)


def _fail(about: str, text: str, publish: str = "") -> DnsVerdict:
    return DnsVerdict(level=DnsLevel.FAIL, about=about, text=text, publish=publish)


def _unknown(about: str, name: str) -> DnsVerdict:
    return _warn(about, f"{name} could not be looked up: no DNS server answered in time", "try again later")


# SPF


def _spf(domains: SenderDomains, look_up: LookUp) -> DnsVerdict:
    name = domains.envelope_domain
    mechanism = f"include:{domains.spf_include}" if domains.spf_include else "a:YOUR-MAIL-SERVER"
    publish = f'publish {name} TXT "v=spf1 {mechanism} -all"'
    answer = look_up(name, "TXT")
    if answer.status is DnsStatus.FAILED:
        return _unknown("SPF", name)
    records = _spf_records(answer)
    if not records:
        return _fail(
            "SPF", f"{name} has no SPF record: Gmail, Yahoo and Microsoft refuse bulk mail without one", publish
        )
    if len(records) > 1:
        return _fail("SPF", f"{name} has {len(records)} SPF records, which counts as none", "keep one of them")
    return _spf_content(domains, records[0], look_up)


def _spf_content(domains: SenderDomains, record: str, look_up: LookUp) -> DnsVerdict:
    """Judge the one record: whether it holds, and whether it allows the mail server."""
    name = domains.envelope_domain
    terms = record.lower().split()[1:]
    count, names, broken = _spf_tree(name, record, look_up, seen=frozenset())
    include = domains.spf_include
    if broken:
        verdict = _fail("SPF", f"{name}: {broken}", "correct the include")
    elif count > SPF_LOOKUPS_MAX:
        text = f"{name} needs {count} look-ups, more than the {SPF_LOOKUPS_MAX} that are allowed: it counts as none"
        verdict = _fail("SPF", text, "remove includes that you do not send through")
    elif "+all" in terms or "all" in terms:
        verdict = _fail("SPF", f"{name} allows the whole world to send (+all)", "end it with -all")
    elif not any(term.endswith("all") or term.startswith("redirect=") for term in terms):
        verdict = _warn("SPF", f"{name} does not say what holds for all others", "end it with -all")
    elif include and include not in names:
        text = f"{name} does not allow your mail server: include:{include} is missing"
        verdict = _fail("SPF", text, f"add include:{include} to the record")
    else:
        allows = "allows your mail server" if include else "whether it allows your mail server is not known here"
        verdict = _ok("SPF", f"{name}: {count} of {SPF_LOOKUPS_MAX} look-ups; {allows}")
    return verdict


def _spf_records(answer: DnsAnswer) -> list[str]:
    return [value for value in answer.values if value.lower() == "v=spf1" or value.lower().startswith("v=spf1 ")]


def _spf_tree(name: str, record: str, look_up: LookUp, *, seen: frozenset[str]) -> tuple[int, frozenset[str], str]:
    """Return how many look-ups a record needs, the names that it includes, and what is broken."""
    count, names = 0, frozenset([name])
    for term in record.lower().split()[1:]:
        bare = term.lstrip("+-~?")
        if not bare.startswith(_LOOKING_UP) or bare.startswith("all"):
            continue
        count += 1
        target = bare.partition(":")[2] if bare.startswith("include:") else bare.removeprefix("redirect=")
        if not bare.startswith(("include:", "redirect=")) or "%" in target or count > SPF_LOOKUPS_MAX:
            continue
        if target in seen:
            return count, names, f"{target} includes itself"
        answer = look_up(target, "TXT")
        records = _spf_records(answer)
        if answer.status is not DnsStatus.FAILED and len(records) != 1:
            return count, names, f"it includes {target}, which has {len(records) or 'no'} SPF record"
        if records:
            below, more, broken = _spf_tree(target, records[0], look_up, seen=seen | {name})
            count, names = count + below, names | more
            if broken:
                return count, names, broken
    return count, names, ""


# DKIM


def _dkim(key: DkimName, look_up: LookUp) -> DnsVerdict:
    publish = f'publish {key.name} TXT "{key.record}"'
    answer = look_up(key.name, "TXT")
    if answer.status is DnsStatus.FAILED:
        return _unknown("DKIM", key.name)
    records = [value for value in answer.values if "p=" in value]
    if not records:
        return _fail("DKIM", f"{key.name} has no key: no signature of ours can be verified", publish)
    if len(records) > 1:
        return _fail("DKIM", f"{key.name} has {len(records)} keys, so that receivers may choose the wrong one", publish)
    return _dkim_content(key, tags_of(records[0]), publish)


def _dkim_content(key: DkimName, tags: Mapping[str, str], publish: str) -> DnsVerdict:
    """Judge the one key against the one that signs here."""
    own = tags_of(key.record)
    if not tags.get("p"):
        advice = "sign with another key, or publish this one again"
        verdict = _fail("DKIM", f"{key.name} is revoked: its key is empty", advice)
    elif "".join(tags["p"].split()) != "".join(own.get("p", "").split()):
        verdict = _fail("DKIM", f"{key.name} holds another key than the one that signs here", publish)
    elif tags.get("k", "rsa") != own.get("k", "rsa"):
        verdict = _fail("DKIM", f"{key.name} is published as another kind of key (k={tags.get('k', 'rsa')})", publish)
    elif "y" in tags.get("t", "").split(":"):
        text = f"{key.name} says that it is a test (t=y), which some receivers take for no key"
        verdict = _warn("DKIM", text, publish)
    else:
        verdict = _ok("DKIM", f"{key.name} holds the key that signs here")
    return verdict


def tags_of(record: str) -> Mapping[str, str]:
    """Read `a=b; c=d`, as DKIM and DMARC write their records."""
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


# DMARC


def _dmarc(domains: SenderDomains, look_up: LookUp) -> Iterator[DnsVerdict]:
    name = domains.from_domain
    place, records, failed = _dmarc_records(name, look_up)
    publish = f'publish _dmarc.{name} TXT "v=DMARC1; p=none; rua=mailto:dmarc@{name}"'
    if failed:
        yield _unknown("DMARC", f"_dmarc.{name}")
        return
    if not records:
        yield _fail(
            "DMARC", f"{name} has no DMARC record: Gmail, Yahoo and Microsoft want one of bulk senders", publish
        )
        return
    tags = tags_of(records[0])
    policy = tags.get("p", "none" if tags.get("rua") else "").lower()
    if len(records) > 1 or policy not in {"none", "quarantine", "reject"}:
        yield _fail("DMARC", f"_dmarc.{place} has {len(records)} records, or one without a policy", publish)
        return
    removed = [tag for tag in _REMOVED_TAGS if tag in tags]
    if policy == "none":
        text = f"_dmarc.{place}: p=none is enough for Gmail and Yahoo, and stops no mail that forges your address"
        yield _warn("DMARC", text, "read the reports, then publish p=quarantine and p=reject")
    elif removed:
        yield _warn("DMARC", f"_dmarc.{place}: {', '.join(removed)} means nothing any more (RFC 9989)", "remove it")
    else:
        yield _ok("DMARC", f"_dmarc.{place}: p={policy}")
    yield _alignment(domains, place, tags)


def _dmarc_records(name: str, look_up: LookUp) -> tuple[str, list[str], bool]:
    """Walk up from a domain to the first one that has a record (RFC 9989 §4.10)."""
    labels = name.split(".")
    steps = [labels, *(labels[at:] for at in range(max(1, len(labels) - DMARC_LABELS_MAX + 1), len(labels) - 1))]
    for step in steps:
        domain = ".".join(step)
        answer = look_up(f"_dmarc.{domain}", "TXT")
        if answer.status is DnsStatus.FAILED:
            return domain, [], True
        records = [value for value in answer.values if value.replace(" ", "").lower().startswith("v=dmarc1")]
        if records:
            return domain, records, False
    return name, [], False


def _alignment(domains: SenderDomains, organisation: str, tags: Mapping[str, str]) -> DnsVerdict:
    """Tell whether SPF or DKIM speaks for the domain that readers see."""
    ways = []
    if _aligned(domains.envelope_domain, domains.from_domain, organisation, strict=tags.get("aspf") == "s"):
        ways.append("SPF")
    strict = tags.get("adkim") == "s"
    if any(_aligned(key.domain, domains.from_domain, organisation, strict=strict) for key in domains.keys):
        ways.append("DKIM")
    if ways:
        return _ok("alignment", f"{' and '.join(ways)} can speak for {domains.from_domain}")
    if not domains.keys:
        text = f"the return address is in {domains.envelope_domain}, which does not speak for {domains.from_domain}"
        return _warn("alignment", text, f"let the mail server sign with DKIM as {domains.from_domain}")
    text = f"neither {domains.envelope_domain} nor the signature speaks for {domains.from_domain}: DMARC fails"
    return _fail("alignment", text, f"set NEWSLETTER_DKIM_DOMAIN to {organisation}")


def _aligned(domain: str, sender: str, organisation: str, *, strict: bool) -> bool:
    domain, sender = domain.lower(), sender.lower()
    return domain == sender or (not strict and (domain == organisation or domain.endswith(f".{organisation}")))


# Names and addresses


def _mx(name: str, look_up: LookUp) -> DnsVerdict:
    answer = look_up(name, "MX")
    publish = f"publish {name} MX 10 YOUR-MAIL-SERVER"
    if answer.status is DnsStatus.FAILED:
        return _unknown("MX", name)
    if answer.status is DnsStatus.NO_NAME:
        return _fail("MX", f"{name} does not exist: receivers refuse a sender whose domain is not there", publish)
    if "." in answer.values:
        return _fail("MX", f"{name} takes no mail at all (null MX), and receivers refuse it as a sender", publish)
    if not answer.values:
        return _warn("MX", f"{name} has no MX record: replies and bounces may not arrive", publish)
    return _ok("MX", f"{name}: {', '.join(sorted(answer.values))}")


def _reverse(name: str, look_up: LookUp) -> DnsVerdict:
    """Tell whether the name that this machine gives leads to it and back (forward-confirmed reverse DNS)."""
    if "." not in name:
        return _fail("PTR", f"this machine calls itself {name}, which is no full name", "set NEWSLETTER_SMTP_EHLO_NAME")
    answers = [look_up(name, kind) for kind in ("A", "AAAA")]
    addresses = [address for answer in answers for address in answer.values]
    if not addresses:
        if any(answer.status is DnsStatus.FAILED for answer in answers):
            return _unknown("PTR", name)
        return _warn("PTR", f"{name}, the name in EHLO, has no address", "set NEWSLETTER_SMTP_EHLO_NAME, or publish it")
    for address in addresses:
        names = [value.rstrip(".").lower() for value in look_up(address, "PTR").values]
        if name.lower() not in names:
            present = f"the name {', '.join(names)}" if names else "no name"
            text = f"{address} has {present}, and not {name}"
            return _warn("PTR", text, f"ask the provider of the address for the PTR record {name}")
    return _ok("PTR", f"{name} leads to {', '.join(addresses)} and back")


def _host(name: str, look_up: LookUp) -> DnsVerdict:
    answers = [look_up(name, kind) for kind in ("A", "AAAA")]
    if any(answer.values for answer in answers):
        return _ok("web address", f"{name} has an address")
    if any(answer.status is DnsStatus.FAILED for answer in answers):
        return _unknown("web address", name)
    return _fail(
        "web address", f"{name} has no address: no reader can unsubscribe", f"publish {name} A YOUR-WEB-SERVER"
    )


def _extras(domains: SenderDomains, look_up: LookUp) -> Iterator[DnsVerdict]:
    """Tell of what is good to have, and no more."""
    for about, name, beginning in (
        ("MTA-STS", f"_mta-sts.{domains.from_domain}", "v=stsv1"),
        ("BIMI", f"default._bimi.{domains.from_domain}", "v=bimi1"),
    ):
        answer = look_up(name, "TXT")
        present = any(value.lower().startswith(beginning) for value in answer.values)
        yield _ok(about, f"{name} is published" if present else f"{name} is not published; nothing needs it")
