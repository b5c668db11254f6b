"""Alerts in the store: repeated trouble is one open row, and the caller learns which was new."""

from __future__ import annotations

from dataclasses import replace

from newsletter.store import alert as alerts
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START

FOUND = Alert(kind=AlertKind.RELAY, about="relay", message="The relay does not answer.", raised_at=START)


def test_only_the_first_of_a_trouble_is_new(unit: Unit) -> None:
    """Told once while it lasts, and again when it returns after it was told that it had passed."""
    with unit.write() as tx:
        assert [alerts.raise_alert(tx, FOUND) for _ in range(2)] == [True, False]
        assert [replace(one, id=FOUND.id) for one in alerts.open_alerts(tx)] == [FOUND]
        assert [alerts.clear(tx, FOUND.kind, FOUND.about, now=START) for _ in range(2)] == [True, False]
        assert alerts.open_alerts(tx) == []
        assert not alerts.raise_alert(tx, FOUND), "it came back before anybody heard that it had passed"
        assert alerts.clear(tx, FOUND.kind, FOUND.about, now=START)
        assert alerts.close(tx, alerts.unclosed(tx)[0], now=START)
        assert alerts.raise_alert(tx, FOUND)
