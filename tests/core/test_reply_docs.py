"""The page about replies shows the table that decides, and every word of it.

Run as a program it writes the page's tables anew: `python tests/core/test_reply_docs.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

from newsletter.core import reply_patterns
from newsletter.core.reply import RULES, Effect, Phase, RelayAction, ReplyClass, Rule
from newsletter.core.retry import RETRY_DELAYS

PAGE = Path(__file__).parents[2] / "docs" / "replies.md"
NAMES = {pattern: name for name, pattern in vars(reply_patterns).items() if name.isupper() and name[0] != "_"}
"""The patterns too long for a table, by their names in `core/reply_patterns.py`."""
BEGIN, END = "<!-- rules: begin -->\n", "<!-- rules: end -->\n"


def table() -> str:
    """Return the rules as a table in Markdown."""
    head = "| rule | at | when the reply has | class | delivery | relay | in plain words |\n" + "|---" * 7 + "|\n"
    return head + "".join(f"| {' | '.join(row(rule))} |\n" for rule in RULES)


def row(rule: Rule) -> tuple[str, ...]:
    """Return the cells of one rule."""
    phases = "any" if rule.phases == set(Phase) else " ".join(phase for phase in Phase if phase in rule.phases)
    return (
        f"`{rule.name}`",
        phases,
        conditions(rule),
        rule.kind,
        effect(rule) + (", suppress" if rule.suppress else ""),
        rule.relay,
        rule.plain,
    )


def effect(rule: Rule) -> str:
    """Return what happens to the delivery, where the first digit decides: by that digit."""
    if rule.effect is not None:
        return rule.effect
    return {"4": "defer", "5": "reject"}.get(rule.codes[0], "4yz defer, 5yz reject")


def conditions(rule: Rule) -> str:
    """Return what must hold, with the bars of patterns escaped for the table."""
    parts = []
    if rule.may_be_delivered:
        parts.append("no readable reply, the final dot written")
    elif rule.codes == "000":
        parts.append("no reply" if not rule.enhanced else "our own refusal")
    elif rule.codes != ".*":
        parts.append(f"code `{rule.codes}`")
    if rule.enhanced:
        parts.append(f"enhanced `{rule.enhanced}`")
    if rule.text:
        parts.append(f"text `{NAMES.get(rule.text, rule.text)}`")
    return ", ".join(parts).replace("|", "\\|") or "anything"


def test_the_page_shows_the_rules_that_decide() -> None:
    """Whoever reads the page reads the data; if this fails, run this file as a program."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0] == table()


def test_the_page_explains_every_word_of_the_table() -> None:
    """Classes, effects and actions are all explained above it."""
    prose = PAGE.read_text(encoding="utf-8").split(BEGIN)[0]
    missing = [
        word
        for words in (ReplyClass, Effect, RelayAction, NAMES.values())
        for word in words
        if f"`{word}`" not in prose
    ]
    assert missing == []


def test_the_page_gives_the_waits_of_the_schedule() -> None:
    """The waits between attempts are the ones that the code uses."""
    match = re.search(r"after ([\d, ]+) minutes", PAGE.read_text(encoding="utf-8"))
    assert match is not None
    assert [int(word) for word in match[1].split(", ")] == [int(wait.total_seconds() // 60) for wait in RETRY_DELAYS]


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
