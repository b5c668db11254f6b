"""What people see of an edition on its way: the rate, the time left, and sentences."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.delivery import DeliveryCounts
from newsletter.core.edition import EditionStatus
from newsletter.core.live import (
    Cause,
    Look,
    Speed,
    Waiting,
    counts_words,
    edition_troubles,
    in_a_line,
    progress_words,
    to_dict,
    waits,
)
from newsletter.core.receipt import Receipt
from newsletter.core.worker_view import RelayView, WorkerView, rate_words, read_rate, read_relays, span_words, together
from tests.core.edition_samples import edition_of

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
ZONE = "America/New_York"
RELAY = RelayView(name="smtp.example.com:587", connections=4, allowed=10, most=10)
SLOWED = RelayView(
    name="smtp.example.com:587",
    connections=2,
    allowed=5,
    most=10,
    trouble='The server wants us slower. It said "454 4.7.0 throttled".',
    again_at=NOW + timedelta(seconds=10),
)
WORKER = WorkerView(name="web-1 17", machine="web-1", seen_at=NOW, connections=4, per_second=120.0, relays=(RELAY,))
LOOK = Look(
    at=NOW,
    receipt=Receipt(
        edition=edition_of(1000),
        counts=DeliveryCounts(accepted=590, rejected=7, uncertain=1, skipped=2, deferred=30, queued=370),
    ),
    workers=(WORKER,),
)


def paused_look(why: str) -> Look:
    """Return a look at the edition while it is paused."""
    edition = edition_of(1000, status=EditionStatus.PAUSED, status_why=why)
    return replace(LOOK, receipt=replace(LOOK.receipt, edition=edition))


def paced(*seen: tuple[float, int]) -> Speed:
    """Return what is known of the speed after these looks."""
    speed = Speed()
    for at, settled in seen:
        speed.note(at, settled)
    return speed


def test_progress_in_a_line() -> None:
    """One line says how far it is, how fast it goes and how long it takes yet."""
    assert progress_words(LOOK, paced((0.0, 400), (10.0, 600))) == "600 of 1,000 (60 %), 20/s, 18 s left"
    assert progress_words(LOOK, paced((0.0, 600))) == "600 of 1,000 (60 %)"
    assert counts_words(LOOK.receipt.counts) == ("590 accepted, 7 refused, 1 uncertain, 2 left out, 370 to go")


def test_standing_still() -> None:
    """Where nothing moves no time is foretold, and a paused edition says that it is paused."""
    assert progress_words(LOOK, paced((0.0, 600), (5.0, 600))) == "600 of 1,000 (60 %), 0/s"
    paused = paused_look("a typo")
    assert progress_words(paused, paced((0.0, 400), (10.0, 600))) == "600 of 1,000 (60 %), paused"
    assert edition_troubles(paused, ZONE) == ("paused: a typo",)


@pytest.mark.parametrize(
    ("why", "message"),
    [
        ("a typo", "paused: a typo"),
        ("by ann", "paused by ann"),
        ("Paused for a typo.", "paused for a typo"),
        ("Too many were refused. Is this an old list?", "paused: Too many were refused. Is this an old list?"),
        ("", "paused"),
    ],
)
def test_a_line_says_once_that_it_stands_still(why: str, message: str) -> None:
    """How it stands and why is one thing, said once, and who waits comes behind it."""
    waiting = (Waiting(cause=Cause.PAUSED, people=400),)
    paused = replace(paused_look(why), waiting=waiting)
    assert in_a_line(paused, paced(), ZONE) == f"600 of 1,000 (60 %), {message}; 400 people wait until it is resumed"


def test_the_rate_is_of_the_last_seconds() -> None:
    """What was fast a minute ago says nothing: the rate is that of the last ten seconds."""
    speed = paced(*((float(second), 100 * second) for second in range(60)))
    for second in range(60, 75):
        speed.note(float(second), 5900)
    assert speed.per_second == 0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**6)), max_size=30))
def test_the_rate_is_never_negative(seen: list[tuple[float, int]]) -> None:
    """Whatever is put back to the queue, the rate is a number of messages and the time left is not negative."""
    speed = paced(*sorted(seen))
    assert speed.per_second is None or speed.per_second >= 0
    left = speed.seconds_left(LOOK)
    assert left is None or left > 0


def test_who_waits_is_no_part_of_the_time_left() -> None:
    """People whose hour has not come are not counted into the time left: it would never come true."""
    wave = Waiting(cause=Cause.WAVE, people=270, until=NOW + timedelta(hours=5), label="Asia/Tokyo")
    look = replace(LOOK, waiting=(wave,))
    assert look.going == 100
    assert paced((0.0, 400), (10.0, 600)).seconds_left(look) == pytest.approx(5.0)


def test_waits_in_words() -> None:
    """Each wait is told with its people, its cause and its end, in the publication's zone."""
    look = replace(
        LOOK,
        waiting=(
            Waiting(cause=Cause.RETRY, people=30, until=NOW + timedelta(minutes=5)),
            Waiting(cause=Cause.WAVE, people=1, until=NOW + timedelta(hours=12), label="Asia/Tokyo"),
            Waiting(cause=Cause.QUOTA, people=200, until=NOW + timedelta(minutes=40)),
            Waiting(cause=Cause.OUTCOME, people=1),
            Waiting(cause=Cause.PAUSED, people=2),
        ),
    )
    assert waits(look, ZONE) == (
        "30 people wait for another try, the next at 09:05:00.",
        "1 person waits for the hour of their own zone, the next at 21:00:00 (Asia/Tokyo).",
        "200 people wait for a quota until 09:40:00.",
        "1 person waits for the outcome of the edition before.",
        "2 people wait until it is resumed.",
    )


def test_another_day() -> None:
    """A time of another day bears its date."""
    wait = Waiting(cause=Cause.RETRY, people=3, until=NOW + timedelta(days=1))
    assert wait.words(ZONE, NOW) == "3 people wait for another try, the next at 09:00 on Wed 25 Nov 2026."


def test_a_mail_server_in_words() -> None:
    """A mail server says how many connections are open of how many it bears, and what it complains of."""
    assert RELAY.words(ZONE, NOW) == "4 of 10 connections"
    assert SLOWED.words(ZONE, NOW) == (
        "2 of 5 (of 10) connections, tried again at 09:00:10: "
        'The server wants us slower. It said "454 4.7.0 throttled".'
    )


def test_workers_together() -> None:
    """Several workers' views of one mail server are one line; a silent one counts for nothing and is named."""
    silent = replace(WORKER, name="web-2 9", machine="web-2", seen_at=NOW - timedelta(seconds=65))
    look = replace(LOOK, workers=(WORKER, replace(WORKER, name="web-1 18", relays=(SLOWED,)), silent))
    [relay] = look.relays
    assert (relay.connections, relay.allowed, relay.most, relay.again_at) == (6, 15, 20, SLOWED.again_at)
    assert relay.trouble == SLOWED.trouble
    assert "web-2 9: silent for 1 min 5 s" in edition_troubles(look, ZONE)
    assert WORKER.words(NOW) == "4 connections, 120/s"


def test_a_report_of_a_worker_is_read() -> None:
    """What a worker writes about itself is read as it stands; what is missing or odd is left out."""
    report = {
        "rate": 12.5,
        "relays": [
            {
                "name": "a",
                "connections": 2,
                "allowed": 3,
                "most": 4,
                "trouble": "slower",
                "again_at": "2026-11-24T14:00:10+00:00",
            },
            {"name": "b", "connections": 1},
            {"connections": 5},
            "c",
        ],
    }
    first, second = read_relays(json.loads(json.dumps(report)))
    assert (first.allowed, first.most, first.trouble, first.again_at) == (3, 4, "slower", NOW + timedelta(seconds=10))
    assert (second.name, second.allowed, second.most, second.again_at) == ("b", 1, 1, None)
    assert read_rate(report) == 12.5
    assert (read_relays({}), read_relays({"relays": "none"}), read_rate({})) == ((), (), None)
    assert together([]) == ()


def test_numbers_in_words() -> None:
    """Rates and spans are as short as they can be without lying."""
    assert [rate_words(one) for one in (0.0, 0.42, 9.96, 3210.4)] == ["0/s", "0.4/s", "10.0/s", "3,210/s"]
    assert [span_words(one) for one in (0.2, 59, 125, 12_000)] == ["1 s", "59 s", "2 min 5 s", "3 h 20 min"]


def test_a_line_for_programs() -> None:
    """One look is one JSON object: counts, pace, waits, mail servers and workers."""
    wait = Waiting(cause=Cause.RETRY, people=30, until=NOW + timedelta(minutes=5))
    written = json.loads(json.dumps(to_dict(replace(LOOK, waiting=(wait,)), paced((0.0, 400), (10.0, 600)))))
    assert (written["date"], written["status"], written["settled"], written["left"]) == (
        "2026-11-24",
        "sending",
        600,
        370,
    )
    assert (written["per_second"], written["seconds_left"]) == (20.0, 18.5)
    assert written["waiting"] == [
        {"cause": "retry", "people": 30, "until": "2026-11-24T14:05:00.000+00:00", "label": ""}
    ]
    assert written["relays"][0]["connections"] == 4
    assert written["workers"][0]["silent"] is False
