"""The metrics: what a monitor reads, who may read it, and how little it costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from newsletter import __version__
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.lineup import LineupRules
from newsletter.core.liveness import LATE_AFTER
from newsletter.core.monitor import ServicePart
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.store import alert as alerts
from newsletter.store import heartbeat as heartbeats
from newsletter.store import worker as workers
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.schema import delivery, worker
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.web.app import create_app
from newsletter.web.metrics import KEPT_SECONDS
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot
from tests.web.conftest import PUBLICATION, Ask, Stage, WebParts

ROOT = Path(__file__).parents[2]
TOKEN = "a token of at least thirty-two characters"
RULES = yaml.safe_load((ROOT / "deploy/alert-rules.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]

Read = Callable[[], dict[tuple[str, ...], float]]


@pytest.fixture
def measured(stage: tuple[Stage, str], parts: WebParts) -> Iterator[Ask]:
    """Return a function that asks a web part with metrics."""
    stage[0].app = create_app(parts, metrics_token=TOKEN)
    with httpx.Client(base_url=stage[1], trust_env=False, timeout=30) as client:
        yield client.request
    stage[0].app = None


@pytest.fixture
def read(measured: Ask) -> Read:
    """Return a function that gives each sample by its name and the values of its labels."""

    def samples() -> dict[tuple[str, ...], float]:
        answer = measured("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        return {
            (one.name.removeprefix("newsletter_"), *one.labels.values()): one.value
            for family in text_string_to_metric_families(answer.text)
            for one in family.samples
        }

    return samples


def begin(parts: WebParts, clock: FixedClock, people: int) -> Edition:
    """Freeze the edition of Tuesday for so many people."""
    add_people(parts.unit, people)
    add_tip(parts.unit)
    clock.set(TUESDAY)
    render_context = RenderContext(publication=PUBLICATION, templates=parts.templates, rules=LineupRules())
    edition = freeze(parts.unit, render_context, first_slot(), now=clock.now()).edition
    assert edition is not None
    return edition


def test_a_fresh_database(read: Read) -> None:
    """Before anything happened there is a next slot, no stock, nobody, and no sign of life."""
    metrics = read()
    assert metrics["build_info", __version__] == 1
    assert metrics[("next_slot_timestamp_seconds",)] == TUESDAY.timestamp()
    assert (metrics[("stock_weeks",)], metrics[("active_subscribers",)], metrics[("low_stock_weeks",)]) == (0, 0, 4)
    assert not any(name[0].startswith(("edition", "heartbeat")) for name in metrics)
    assert metrics["open_alerts", "missed-slot"] == 0


def test_a_running_edition(read: Read, unit: Unit, parts: WebParts, clock: FixedClock) -> None:
    """The states of a running edition add up to its audience, and its speed is what was tried since its start."""
    edition = begin(parts, clock, 10)
    with unit.write() as tx:
        tx.execute(delivery.update().where(delivery.c.id <= 4).values(state=DeliveryState.ACCEPTED.value))
        heartbeats.record(tx, ServicePart.SENDER, now=clock.now(), process="somewhere 1")
        tx.execute(delivery.update().where(delivery.c.id == 5).values(state=DeliveryState.REJECTED.value))
    clock.turn(seconds=2)
    metrics = read()
    states = {state: metrics["edition_deliveries", edition.name, state.value] for state in DeliveryState}
    assert states.pop(DeliveryState.ACCEPTED) == 4
    assert states.pop(DeliveryState.REJECTED) == 1
    assert states.pop(DeliveryState.QUEUED) == 5
    assert set(states.values()) == {0}
    assert metrics["edition_audience", edition.name] == 10
    assert metrics["edition_messages_per_second", edition.name] == 2.5
    assert metrics["edition_running", edition.name] == 1
    assert metrics["heartbeat_age_seconds", "sender"] == 2
    assert metrics["edition_start_timestamp_seconds", edition.name] == TUESDAY.timestamp()


def test_senders_are_counted(read: Read, unit: Unit, clock: FixedClock) -> None:
    """However many send, those that fell silent are told apart; one that ended is neither."""
    with unit.write() as tx:
        for name in ("one", "two", "three", "four"):
            who = workers.start(tx, name=name, machine="a machine", now=clock.now())
        workers.end(tx, who, now=clock.now())
        silent = workers.moment(tx, clock.now()) - LATE_AFTER * 2
        tx.execute(worker.update().where(worker.c.name == "three").values(seen_at=silent))
    metrics = read()
    assert (metrics["senders", "alive"], metrics["senders", "silent"]) == (2, 1)


def test_open_alerts_are_counted_by_kind_without_a_word_of_them(read: Read, measured: Ask, unit: Unit) -> None:
    """A kind has its number, and what the alert says is not in it."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    alert = Alert(kind=AlertKind.RELAY, about="ann@example.com", message="ann@example.com is refused", raised_at=now)
    with unit.write() as tx:
        alerts.raise_alert(tx, alert)
    assert read()["open_alerts", "relay"] == 1
    assert "example.com" not in measured("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text


def test_a_look_is_kept_for_a_while(read: Read, unit: Unit, clock: FixedClock) -> None:
    """A request repeated at once costs nothing; ages go on all the same."""
    with unit.write() as tx:
        heartbeats.record(tx, ServicePart.SCHEDULER, now=clock.now(), process="somewhere 1")
    assert read()[("active_subscribers",)] == 0
    add_people(unit, 3)
    clock.turn(seconds=KEPT_SECONDS - 1)
    again = read()
    assert (again[("active_subscribers",)], again["heartbeat_age_seconds", "scheduler"]) == (0, KEPT_SECONDS - 1)
    clock.turn(seconds=1)
    assert read()[("active_subscribers",)] == 3


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ä"]
)
def test_without_the_token_nothing_is_revealed(measured: Ask, header: str | None) -> None:
    """A request from this very machine gets nothing without the token either: it may have come through a proxy."""
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = measured("GET", "/metrics", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "newsletter_" not in answer.text


def test_without_a_token_in_the_settings_there_are_no_metrics(ask: Ask) -> None:
    """An installation that did not ask for metrics has no such page."""
    assert ask("GET", "/metrics", headers={"Authorization": "Bearer x"}).status_code == 404


def test_the_alert_rules_ask_for_what_is_there(read: Read, unit: Unit, parts: WebParts, clock: FixedClock) -> None:
    """Every metric, part, state and kind that a rule names is one that the newsletter shows."""
    begin(parts, clock, 1)
    with unit.write() as tx:
        for part in ("scheduler", "sender"):
            heartbeats.record(tx, ServicePart(part), now=clock.now(), process="somewhere 1")
    samples = read()
    names = {f"newsletter_{name[0]}" for name in samples}
    values = {value for name in samples for value in name[1:]}
    for rule in RULES:
        asked = set(re.findall(r"\bnewsletter_\w+", rule["expr"]))
        assert asked or rule["expr"].startswith("up{"), rule["alert"]
        assert asked <= names, rule["alert"]
        labels = re.findall(r'(?:part|state|kind)=~?"([^"]+)"', rule["expr"])
        assert {value for label in labels for value in label.split("|")} <= values, rule["alert"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_rule_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    """A rule has a severity, a sentence, and what the person who is woken should do."""
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].strip()
    assert rule["annotations"]["action"].strip().endswith(".")
