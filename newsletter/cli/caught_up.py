"""What a copy of the database caught up with from the ledger, in words and as JSON; `db adopt` and `db restore` say it.

In: what the flow did. Out: lines for a person. No address is among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newsletter.cli.output import say
from newsletter.wording import people_words

if TYPE_CHECKING:
    from newsletter.flows.catch_up import CaughtUp


def say_caught_up(caught_up: CaughtUp) -> None:
    """Say what was done, and what a person should do now."""
    for name in caught_up.editions:
        say(f"The edition of {name} counts as sent; who got it is not known here.")
    for slug in caught_up.lost_tips:
        say(f"Its tip {slug!r} is not in this copy. If you add it again, retire it, since it went out.")
    people = [
        (caught_up.left, "who left stays away", "who left stay away"),
        (caught_up.erased, "was erased again", "were erased again"),
        (caught_up.kept_away, "who came and left since stays away", "who came and left since stay away"),
    ]
    for count, first, many in people:
        if count:
            say(f"{people_words(count)} {first if count == 1 else many}.")
    for name in caught_up.paused:
        say(f"The edition of {name} is paused: `newsletter edition show {name}`, then resume or cancel it.")


def caught_up_json(caught_up: CaughtUp) -> dict[str, object]:
    """Return the same for a program."""
    return {
        "editions": list(caught_up.editions),
        "lost_tips": list(caught_up.lost_tips),
        "left": caught_up.left,
        "erased": caught_up.erased,
        "kept_away": caught_up.kept_away,
        "paused": list(caught_up.paused),
    }
