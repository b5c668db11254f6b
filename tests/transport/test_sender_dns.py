"""What the DNS says of a sender, in scripted worlds behind a real DNS server on loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from newsletter.core.sender_dns import DkimName, DnsStatus, DnsVerdict, SenderDomains, judge_sender
from newsletter.transport.dns import DnsLookup
from tests.transport.dns_server import DnsServer, Zone, serving

KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"
DKIM = DkimName(name="s1._domainkey.news.example.com", domain="news.example.com", record=f"v=DKIM1; k=rsa; p={KEY}")
DOMAINS = SenderDomains(
    from_domain="news.example.com",
    envelope_domain="bounces.news.example.com",
    reply_domain="example.com",
    keys=(DKIM,),
    spf_include="amazonses.com",
    ehlo_name="mail.example.com",
    public_host="www.example.com",
)
RIGHT: Mapping[tuple[str, str], Sequence[str]] = {
    ("bounces.news.example.com", "TXT"): ['"v=spf1 include:amazonses.com -all"', '"another=text"'],
    ("amazonses.com", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
    ("s1._domainkey.news.example.com", "TXT"): [f'"v=DKIM1; k=rsa; " "p={KEY}"'],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:dmarc@example.com"'],
    ("news.example.com", "MX"): ["10 mx.example.com."],
    ("example.com", "MX"): ["10 mx.example.com."],
    ("bounces.news.example.com", "MX"): ["10 mx.example.com."],
    ("mail.example.com", "A"): ["192.0.2.7"],
    ("7.2.0.192.in-addr.arpa", "PTR"): ["mail.example.com."],
    ("www.example.com", "A"): ["192.0.2.8"],
    ("_mta-sts.news.example.com", "TXT"): ['"v=STSv1; id=1"'],
}


def judge(zone: Zone, domains: SenderDomains = DOMAINS, **habits: bool) -> list[DnsVerdict]:
    """Return what is said of a sender in a world."""
    with serving(DnsServer(zone, **habits)) as server:
        return list(judge_sender(domains, DnsLookup([server.address], seconds=2.0 if not habits else 0.4)))


def changed(**records: Sequence[str] | None) -> Zone:
    """Return the right world with some records changed; names are written `spf`, `dkim`, `dmarc` and so on."""
    names = {
        "spf": ("bounces.news.example.com", "TXT"),
        "ses": ("amazonses.com", "TXT"),
        "dkim": ("s1._domainkey.news.example.com", "TXT"),
        "dmarc": ("_dmarc.example.com", "TXT"),
        "mx": ("news.example.com", "MX"),
        "ptr": ("7.2.0.192.in-addr.arpa", "PTR"),
    }
    zone = dict(RIGHT)
    for name, values in records.items():
        zone[names[name]] = values or ()
    return zone


def of(verdicts: Sequence[DnsVerdict], about: str) -> tuple[str, str, str]:
    """Return level, text and advice of the worst verdict about something."""
    worst = max(
        (item for item in verdicts if item.about == about), key=lambda item: ("ok", "warn", "fail").index(item.level)
    )
    return worst.level.value, worst.text, worst.publish


def test_where_all_is_right() -> None:
    """Every line is ok; what is good to have is told, and whether the record allows the mail server."""
    verdicts = judge(RIGHT)
    assert [one for one in verdicts if one.level != "ok"] == []
    assert "allows your mail server" in of(verdicts, "SPF")[1]
    assert of(verdicts, "alignment")[1] == "SPF and DKIM can speak for news.example.com"
    assert "is published" in of(verdicts, "MTA-STS")[1]
    assert "not published; nothing needs it" in of(verdicts, "BIMI")[1]


def test_where_everything_is_missing() -> None:
    """Each line says what to publish."""
    verdicts = judge(
        {
            ("news.example.com", "TXT"): ['"x"'],
            ("bounces.news.example.com", "TXT"): ['"x"'],
            ("example.com", "TXT"): ['"x"'],
        }
    )
    assert of(verdicts, "SPF")[::2] == (
        "fail",
        'publish bounces.news.example.com TXT "v=spf1 include:amazonses.com -all"',
    )
    assert of(verdicts, "DKIM")[::2] == ("fail", f'publish {DKIM.name} TXT "{DKIM.record}"')
    level, _, publish = of(verdicts, "DMARC")
    assert (level, publish) == (
        "fail",
        'publish _dmarc.news.example.com TXT "v=DMARC1; p=none; rua=mailto:dmarc@news.example.com"',
    )
    assert of(verdicts, "MX")[0] == "warn"
    assert of(verdicts, "web address")[0] == "fail"


SPF_WORLDS = {
    "two records": (['"v=spf1 -all"', '"v=spf1 include:amazonses.com -all"'], "fail", "2 SPF records"),
    "too many look-ups": (
        ['"v=spf1 ' + " ".join(f"a:h{n}.example.com" for n in range(11)) + ' -all"'],
        "fail",
        "11 look-ups",
    ),
    "everybody": (['"v=spf1 include:amazonses.com +all"'], "fail", "whole world"),
    "no end": (['"v=spf1 include:amazonses.com"'], "warn", "all others"),
    "not our server": (['"v=spf1 mx -all"'], "fail", "does not allow your mail server"),
    "broken include": (['"v=spf1 include:nowhere.example.com -all"'], "fail", "nowhere.example.com, which has no SPF"),
    "itself": (['"v=spf1 include:bounces.news.example.com -all"'], "fail", "includes itself"),
    "redirect": (['"v=spf1 redirect=amazonses.com"'], "ok", "1 of 10"),
}


@pytest.mark.parametrize("name", list(SPF_WORLDS))
def test_records_of_spf(name: str) -> None:
    """Two records, more look-ups than ten, and what allows too much or too little."""
    records, level, words = SPF_WORLDS[name]
    seen = of(judge(changed(spf=records)), "SPF")
    assert (seen[0], words in seen[1]) == (level, True), seen


def test_look_ups_below_an_include_count() -> None:
    """The limit holds for the whole tree."""
    zone = changed(ses=['"v=spf1 ' + " ".join(f"mx:h{n}.example.com" for n in range(10)) + ' -all"'])
    assert of(judge(zone), "SPF")[:1] == ("fail",)


DKIM_WORLDS = {
    "wrong selector": (None, "fail", "has no key"),
    "revoked": (['"v=DKIM1; k=rsa; p="'], "fail", "is revoked"),
    "another key": (['"v=DKIM1; p=AAAA"'], "fail", "another key"),
    "another kind": ([f'"v=DKIM1; k=ed25519; p={KEY}"'], "fail", "another kind"),
    "a test": ([f'"v=DKIM1; t=y; p={KEY}"'], "warn", "it is a test"),
    "two keys": ([f'"v=DKIM1; p={KEY}"', '"v=DKIM1; p=AAAA"'], "fail", "2 keys"),
}


@pytest.mark.parametrize("name", list(DKIM_WORLDS))
def test_records_of_dkim(name: str) -> None:
    """The key that is published is compared with the one that signs."""
    records, level, words = DKIM_WORLDS[name]
    seen = of(judge(changed(dkim=records)), "DKIM")
    assert (seen[0], words in seen[1]) == (level, True), seen


DMARC_WORLDS = {
    "p=none": (['"v=DMARC1; p=none"'], "warn", "p=none is enough"),
    "removed tags": (['"v=DMARC1; p=reject; pct=50"'], "warn", "pct means nothing any more"),
    "no policy": (['"v=DMARC1"'], "fail", "without a policy"),
    "two records": (['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], "fail", "2 records"),
}


@pytest.mark.parametrize("name", list(DMARC_WORLDS))
def test_records_of_dmarc(name: str) -> None:
    """The record of the organisation counts for the domains below it."""
    records, level, words = DMARC_WORLDS[name]
    seen = of(judge(changed(dmarc=records)), "DMARC")
    assert (seen[0], words in seen[1]) == (level, True), seen


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"envelope_domain": "relay.example.net"}, "ok"),
        ({"envelope_domain": "relay.example.net", "keys": ()}, "warn"),
        ({"envelope_domain": "relay.example.net", "keys": (replace(DKIM, domain="relay.example.net"),)}, "fail"),
    ],
)
def test_alignment(changes: dict[str, object], level: str) -> None:
    """One of SPF and DKIM must speak for the domain that readers see; strict wants the very domain."""
    assert of(judge(RIGHT, replace(DOMAINS, **changes)), "alignment")[0] == level  # type: ignore[arg-type]
    strict = changed(dmarc=['"v=DMARC1; p=reject; aspf=s; adkim=s"'])
    assert of(judge(strict), "alignment")[1] == "DKIM can speak for news.example.com"


def test_where_no_mail_is_taken() -> None:
    """A null MX and a domain that is not there are refused by receivers; no MX is a warning."""
    assert of(judge(changed(mx=["0 ."])), "MX")[:2][0] == "fail"
    assert of(judge(changed(mx=None)), "MX")[0] == "warn"
    nowhere = replace(DOMAINS, reply_domain="nowhere.example.net")
    level, text, _ = of(judge(RIGHT, nowhere), "MX")
    assert (level, "does not exist" in text) == ("fail", True)


def test_an_address_that_has_another_name() -> None:
    """The name in EHLO must lead to the address and back."""
    assert "'" not in of(judge(changed(ptr=["host7.example.net."])), "PTR")[1]
    assert of(judge(changed(ptr=["host7.example.net."])), "PTR")[0] == "warn"
    assert of(judge(changed(ptr=None)), "PTR")[0] == "warn"
    assert of(judge(RIGHT, replace(DOMAINS, ehlo_name="localhost")), "PTR")[0] == "fail"


def test_a_server_that_does_not_answer() -> None:
    """Every line says so, nothing fails, and it takes no longer than a few tries."""
    with serving(DnsServer(RIGHT, silent=True)) as server:
        verdicts = list(judge_sender(DOMAINS, DnsLookup([server.address], seconds=0.3)))
    assert {one.level.value for one in verdicts if one.about not in {"MTA-STS", "BIMI"}} == {"warn"}
    assert all("no DNS server answered" in one.text for one in verdicts if one.about not in {"MTA-STS", "BIMI"})


def test_answers_that_need_tcp() -> None:
    """What is too long for UDP is asked for over TCP, and nothing is lost."""
    assert [one for one in judge(RIGHT, tcp_only=True) if one.level != "ok"] == []


def test_a_domain_in_letters_of_its_own() -> None:
    """Settings keep an international domain as the DNS writes it, and it is looked up as such."""
    zone = {
        (name.replace("news.example.com", "xn--bcher-kva.example"), kind): values
        for (name, kind), values in RIGHT.items()
    }
    zone["_dmarc.xn--bcher-kva.example", "TXT"] = RIGHT["_dmarc.example.com", "TXT"]
    key = DkimName(name="s1._domainkey.xn--bcher-kva.example", domain="xn--bcher-kva.example", record=DKIM.record)
    domains = replace(
        DOMAINS, from_domain="xn--bcher-kva.example", envelope_domain="bounces.xn--bcher-kva.example", keys=(key,)
    )
    assert [one for one in judge(zone, domains) if one.level != "ok"] == []


def test_a_name_that_is_none_is_not_there() -> None:
    """Whatever the settings hold, a look-up raises nothing; each name is asked for once."""
    with serving(DnsServer(RIGHT)) as server:
        look_up = DnsLookup([server.address])
        assert look_up("a..b", "TXT").status is DnsStatus.NO_NAME
        assert look_up("no address", "PTR").status is DnsStatus.NO_NAME
        for _ in range(2):
            assert look_up("example.com", "MX").values == ("mx.example.com",)
        assert server.asked == [("example.com", "mx".upper())]
