"""The list of time zones of a form, made once: six hundred lines in a template cost more than the rest of the page.

In: the zone that is chosen. Out: the options of a list as HTML.
"""

from __future__ import annotations

from zoneinfo import available_timezones

from markupsafe import Markup, escape


class ZoneOptions:
    """The options, without a chosen one until a page says which."""

    def __init__(self) -> None:
        self._by_zone = {zone: f"<option>{escape(zone)}</option>\n" for zone in sorted(available_timezones())}
        self._all = "".join(self._by_zone.values())

    def chosen(self, zone: str) -> Markup:
        """Return the options with one of them chosen."""
        option = self._by_zone.get(zone, "")
        selected = option.replace("<option>", "<option selected>")
        return Markup(self._all.replace(option, selected, 1) if option else self._all)  # noqa: S704 - escaped above
