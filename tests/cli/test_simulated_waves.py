"""`newsletter simulate` where each reader gets the tip by their own clock."""

from __future__ import annotations

from tests.cli.conftest import Home
from tests.cli.test_simulate import play
from tests.flows.tip_fixtures import queue, tip_file
from tests.sending.wave_fixtures import add_readers


def test_stand_ins_live_where_the_readers_live(home: Home) -> None:
    """Two weeks are played through in waves: everybody gets both tips, nobody two in a week, and all is on time."""
    with (home.folder / ".env").open("a") as settings:
        settings.write("NEWSLETTER_SEND_LOCALLY=true\nNEWSLETTER_ADMIN_EMAILS=admin@example.org\n")
    add_readers(home.unit, {"Pacific/Auckland": 1, "Europe/Berlin": 3, "": 2, "Pacific/Honolulu": 1})
    queue(home.unit, tip_file("first"), tip_file("second"), tip_file("third"))
    ran = play(home, "--weeks", "2")

    assert ran.code == 0, ran.err
    assert "“Title of first” to 7 people" in ran.out
    assert "7 of 7: “Title of second”" in ran.out
    assert "2 sent on time" in ran.out
    assert "more than one mail in the week" not in ran.out
    assert "is going out" in ran.out
