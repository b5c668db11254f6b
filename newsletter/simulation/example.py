"""The example year of `newsletter simulate --example`: 52 Tuesdays, and everything that goes wrong in between.

In: nothing. Out: settings, people and a script that are the same at every run, so that the diary can be read as a page
(`docs/a-year.md`) and compared by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

from newsletter.core.cadence import describe_date, instant
from newsletter.core.reply import Phase, Reply
from newsletter.core.tip import Tip
from newsletter.errors import InputError
from newsletter.flows.change_slot import add_slot, skip_slot
from newsletter.flows.change_tip import move_tip
from newsletter.flows.plan import outlook
from newsletter.flows.queue_tip import TipText, queue_tips
from newsletter.simulation.script import Script, ScriptedEvent, Span
from newsletter.store import tip as tips
from newsletter.wiring import Application

EXAMPLE_ZONE = "America/New_York"
EXAMPLE_PEOPLE_COUNT = 24
EXAMPLE_ACTOR = "an editor"

SETTINGS: Mapping[str, str] = {
    "NEWSLETTER_NAME": "Tip of the Week",
    "NEWSLETTER_FROM": "tips@news.example.com",
    "NEWSLETTER_POSTAL_ADDRESS": "Example Society, 1 Example Street, Springfield",
    "NEWSLETTER_BASE_URL": "https://news.example.com",
    "NEWSLETTER_SMTP_HOST": "mail.example.com",
    "NEWSLETTER_ADMIN_EMAILS": "admin@example.org",
    "NEWSLETTER_ALERT_COMMAND": "page-the-operator",
    "NEWSLETTER_SEND_DAY": "tuesday",
    "NEWSLETTER_SEND_TIME": "09:00",
    "NEWSLETTER_TIME_ZONE": EXAMPLE_ZONE,
}

WINTER = """
Answer with a date
Begin with what you can do
Read it aloud before you send it
Let the anger finish
Name the next step, and whose it is
A no that keeps the door open
Just a quick question
When the mistake was ours
Nobody should have to tell it twice
The question behind the question
""".strip().splitlines()

RESCUE = "Two lines after a long call"

SPRING = """
Say the name right
Pass the praise on
Throw out one template in three
An out-of-office reply that helps
Silence is an answer too
One mail, one question
The weather is not an excuse
Thank them for the complaint
Write the subject last
Put the number first
A list beats a paragraph
Say what will not happen
Ask what they tried
The customer who is always right
Leave the door unlocked
What the last reply should say
Do not forward, introduce
The price in the first line
A refund without a speech
Read the whole thread
Call when it takes three mails
The second sorry is for you
Show the screen, not the menu
Words that promise nothing
Keep a file of good answers
Who else is waiting
The friendly deadline
Let them close the case
A form is a conversation
Say it without the acronym
What we learned this month
The shortest useful answer
Explain it to a neighbour
Hold the line, not the caller
When to break the script
The apology nobody asked for
Hand over with a story
Tidy the knowledge base
Before you press send to all
The five-minute rule
A question for the new year
Start with the exception
Listen for the number two
The case that came back
Write for the telephone
What a good day looks like
""".strip().splitlines()

EXTRA = "The help desk moves on Monday"
HOLIDAYS = "Before the lights go out for the holidays"

SKIPPED = date(2027, 7, 6)
EXTRA_DATE = date(2027, 10, 14)
HOLIDAY = date(2027, 12, 21)
NO_MAILBOX, FULL_FOR_A_DAY, FULL_FOR_A_WEEK = 7, 11, 15
"""The readers whose mailboxes make trouble, by number."""


@dataclass(frozen=True, slots=True)
class _Day:
    """A local date, on which things have a time."""

    month: int
    day: int

    def at(self, hour: int, minute: int = 0) -> datetime:
        """Return the instant of a wall-clock time."""
        return instant(date(2027, self.month, self.day), time(hour, minute), EXAMPLE_ZONE)


EXAMPLE_START = instant(date(2027, 1, 3), time(18), EXAMPLE_ZONE)
"""A Sunday evening."""
END = instant(date(2027, 12, 31), time(23, 59), EXAMPLE_ZONE)

SHORT_OUTAGE = Span(begins=_Day(2, 9).at(8), ends=_Day(2, 9).at(11))
LONG_OUTAGE = Span(begins=_Day(8, 6).at(16), ends=_Day(8, 27).at(16))
RELAY_DEAD = Span(begins=_Day(9, 14).at(8, 50), ends=_Day(9, 14).at(14, 50))


def example_script() -> Script:
    """Return what happens in the year."""
    acts = [
        ScriptedEvent(at=EXAMPLE_START, words=f"an editor adds tips for {len(WINTER)} weeks", do=_adds(WINTER)),
        ScriptedEvent(at=_Day(3, 23).at(11, 30), words=f"an editor adds “{RESCUE}”", do=_adds([RESCUE])),
        ScriptedEvent(at=_Day(3, 24).at(10), words=f"an editor adds {len(SPRING)} tips", do=_adds(SPRING)),
        ScriptedEvent(at=_Day(6, 1).at(10), words=f"an editor skips {describe_date(SKIPPED)}: summer break", do=_skips),
        ScriptedEvent(
            at=_Day(10, 11).at(10), words=f"an editor adds {describe_date(EXTRA_DATE)} with “{EXTRA}”", do=_adds_a_date
        ),
        ScriptedEvent(at=_Day(11, 15).at(15), words="an editor moves the next tip to the end", do=_moves_the_next),
        ScriptedEvent(
            at=_Day(12, 1).at(10),
            words=f"an editor pins “{HOLIDAYS}” to {describe_date(HOLIDAY)}",
            do=_adds([HOLIDAYS], HOLIDAY),
        ),
    ]
    return Script(acts=acts, outages=[SHORT_OUTAGE, LONG_OUTAGE], relay_dead=[RELAY_DEAD], answers=_answer)


def reader(number: int) -> str:
    """Return the address of a stand-in."""
    return f"reader-{number}@example.org"


def _answer(address: str, now: datetime) -> Reply | None:
    if address == reader(NO_MAILBOX) and now >= _Day(5, 1).at(0):
        return Reply(phase=Phase.RCPT, code=550, enhanced="5.1.1", text="no such mailbox here")
    full = {
        reader(FULL_FOR_A_DAY): Span(begins=_Day(6, 8).at(0), ends=_Day(6, 8).at(20)),
        reader(FULL_FOR_A_WEEK): Span(begins=_Day(11, 8).at(0), ends=_Day(11, 15).at(0)),
    }
    if address in full and full[address].holds(now):
        return Reply(phase=Phase.RCPT, code=452, enhanced="4.2.2", text="mailbox full")
    return None


def _adds(titles: list[str], pin: date | None = None) -> Callable[[Application], None]:
    def act(app: Application) -> None:
        queue_tips(app.unit, [_file(title, pin) for title in titles], app.review(app.clock.now()), who=EXAMPLE_ACTOR)

    return act


def _file(title: str, pin: date | None = None) -> TipText:
    pinned = f"pin: {pin}\n" if pin else ""
    text = f"---\ntitle: {title}\nstatus: approved\n{pinned}---\n\nHello {{{{ first_name|there }}}},\n\n{title}.\n"
    return TipText(name=f"{title}.md", text=text)


def _tip(app: Application, title: str) -> Tip:
    with app.unit.read() as tx:
        return next(tip for tip in tips.all_tips(tx) if tip.title == title)


def _skips(app: Application) -> None:
    skip_slot(app.unit, SKIPPED, app.plan_rules, who=EXAMPLE_ACTOR, because="summer break", now=app.clock.now())


def _adds_a_date(app: Application) -> None:
    _adds([EXTRA])(app)
    add_slot(app.unit, EXTRA_DATE, None, app.review(app.clock.now()), tip=_tip(app, EXTRA), who=EXAMPLE_ACTOR)


def _moves_the_next(app: Application) -> None:
    now = app.clock.now()
    following = outlook(app.unit, app.plan_rules, weeks=1, now=now).choices[0].tip
    if following is None:
        raise InputError("the example has no next tip")
    move_tip(app.unit, following, before=None, who=EXAMPLE_ACTOR, now=now)
