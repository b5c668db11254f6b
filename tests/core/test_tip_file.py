"""Tip files: what they may say, and every fault with its line."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.tip import Season, TipDraft, TipPart, TipStatus, slug_from
from newsletter.core.tip_file import FILE_LIMIT, parse_tip_file, render_tip_file
from newsletter.core.tip_markdown import TIP_BODY_BYTES_MAX
from newsletter.errors import InputError

FULL = """---
title: Answer with a date
slug: with-a-date
subject: "{{ first_name|Hello }}: answer with a date"
preheader: Soon is not a day of the week
author: The service desk
tags: [promises, E-mail]
evergreen: yes
season: 11-15..01-06
pin: 2026-12-22
series: promises
part: 2
first_published: 2019-03-05
listed: false
status: approved
---

Say **when**.

    indented code stays
"""


def faults_of(text: str) -> tuple[str, ...]:
    """Return the faults of a file that has some."""
    with pytest.raises(InputError) as caught:
        parse_tip_file(text, file_name="tip.md")
    return caught.value.details


def with_key(line: str) -> str:
    """Return a good file with one more line in its front matter, the third of the file."""
    return f"---\ntitle: Answer with a date\n{line}\n---\nSay when.\n"


def with_body(body: str) -> str:
    """Return a good file with this text, which begins on its fifth line."""
    return f"---\ntitle: Answer with a date\n---\n\n{body}\n"


def test_a_file_may_say_all_of_this() -> None:
    """Every key reaches the draft, and the body keeps its shape."""
    assert parse_tip_file(FULL, file_name="tip.md") == TipDraft(
        slug="with-a-date",
        title="Answer with a date",
        subject="{{ first_name|Hello }}: answer with a date",
        preheader="Soon is not a day of the week",
        author="The service desk",
        tags=("promises", "E-mail"),
        evergreen=True,
        season=Season(first=(11, 15), last=(1, 6)),
        pin=date(2026, 12, 22),
        part=TipPart(series="promises", number=2),
        first_published=date(2019, 3, 5),
        listed=False,
        status=TipStatus.APPROVED,
        body="Say **when**.\n\n    indented code stays",
    )
    assert parse_tip_file(FULL, file_name="tip.md").body_line == 18


def test_a_title_and_a_text_are_enough() -> None:
    """Without a word on it, a tip is a draft, and its slug and subject come from its title."""
    draft = parse_tip_file("---\ntitle: Don\u2019t wait\n---\nGo.", file_name="tip.md")
    assert draft == TipDraft(slug="dont-wait", title="Don\u2019t wait", subject="Don\u2019t wait", body="Go.")
    assert draft.status is TipStatus.DRAFT


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault() -> None:
    """What editors on Windows write reads as the same tip."""
    draft = parse_tip_file("\ufeff" + FULL.replace("\n", "\r\n"), file_name="tip.md")
    assert draft == parse_tip_file(FULL, file_name="tip.md")


@pytest.mark.parametrize("title", ["2026", "yes", "1e3", "2026-12-22", "0x1F", "null and void", "=", "<<"])
def test_a_title_stays_what_was_typed(title: str) -> None:
    """YAML's own ideas about numbers, dates and yes do not touch the words of an author."""
    assert parse_tip_file(f"---\ntitle: {title}\nslug: x\n---\nGo.", file_name="tip.md").title == title


@pytest.mark.parametrize("tags", ["a, B ,a", "[a, B, A]", "\n- a\n- B"])
def test_categories_are_tags(tags: str) -> None:
    """Files of other programs say `categories`."""
    assert parse_tip_file(with_key(f"categories: {tags}"), file_name="tip.md").tags == ("a", "B")


@pytest.mark.parametrize(
    "value",
    ["2019-03-05", "2019-03-05 09:00", "2019-03-05T09:00:00Z", "2019-03-05 09:00:00 -0500", "2019-03-05T09:00+01:00"],
)
def test_a_date_is_when_readers_had_it_first(value: str) -> None:
    """`date`, as other programs write it, is the day of the first publication; its time does not matter."""
    draft = parse_tip_file(with_key(f"date: {value}"), file_name="tip.md")
    assert draft.first_published == date(2019, 3, 5)
    assert parse_tip_file(render_tip_file(draft), file_name="tip.md") == draft


@pytest.mark.parametrize(
    ("text", "title", "body_line"),
    [
        ("# Answer with a date\n\nSay when.", "Answer with a date", 3),
        ("\n\n # Answer with a date ##\nSay when.", "Answer with a date", 4),
        ("\ufeff# C# \\& \\*you\\*\n\nSay when.", "C# & *you*", 3),
    ],
)
def test_a_file_without_front_matter_begins_with_its_title(text: str, title: str, body_line: int) -> None:
    """The first `# Heading` is the title and no part of the text; the rest has its defaults."""
    draft = parse_tip_file(text, file_name="tip.md")
    assert draft == TipDraft(slug=slug_from(title), title=title, subject=title, body="Say when.")
    assert draft.body_line == body_line


@pytest.mark.parametrize("tags", ["a, B ,a", "[a, B, A]", "\n- a\n- B"])
def test_tags_may_be_a_list_or_words_with_commas(tags: str) -> None:
    """Each way of writing tags gives the same ones, each once."""
    assert parse_tip_file(with_key(f"tags: {tags}"), file_name="tip.md").tags == ("a", "B")


def test_an_evergreen_may_be_pinned() -> None:
    """A pin on an evergreen is a wish for one date, not a contradiction."""
    draft = parse_tip_file(with_key("evergreen: true\npin: 2026-12-22"), file_name="tip.md")
    assert (draft.evergreen, draft.pin) == (True, date(2026, 12, 22))


def test_a_season_may_begin_on_29_february() -> None:
    """The day that most years lack is a day of the calendar."""
    draft = parse_tip_file(with_key("evergreen: true\nseason: 02-29..03-05"), file_name="tip.md")
    assert draft.season == Season(first=(2, 29), last=(3, 5))


KEY_FAULTS = [
    (
        "pin: 22.12.2026",
        "line 3: pin: “22.12.2026” is not a date I understand; write year, month and day like 2026-12-22",
    ),
    ("pin: 2026-12-22 09:00", "a date stands alone, without a time: 2026-12-22"),
    ("pin: 2026-02-30", "line 3: pin: there is no day 2026-02-30"),
    ("date: 2019-02-30", "line 3: date: there is no day 2019-02-30"),
    ("date: 2019-02-30T09:00:00Z", "line 3: date: there is no day 2019-02-30"),
    ("date: yesterday", "line 3: date: “yesterday” is not a date"),
    ("date: 0019-03-05", "line 3: date: 0019-03-05 is before the first mail was sent"),
    ("first_published: 2019-03-05T09:00", "line 3: first_published: “2019-03-05T09:00” is not a date"),
    ("date: 2019-03-05\nfirst_published: 2019-03-05", "line 3: date: line 4 says it already as “first_published”"),
    ("categories: ['a,b']", "line 3: categories: “a,b” holds a comma"),
    ("tags: a\ncategories: b", "line 4: categories: line 3 says it already as “tags”; keep one"),
    ("first_published: last year", "line 3: first_published: “last year” is not a date"),
    ("titel: x", "line 3: “titel” is not a key of a tip; did you mean “title”?"),
    ("draft: true", "line 3: “draft” is not a key of a tip; did you mean “status: draft”?"),
    ("excerpt: x", "line 3: “excerpt” is not a key of a tip; did you mean “preheader”?"),
    ("First-Published: 2019-03-05", "did you mean “first_published”?"),
    ("zzz: x", "the keys are title, slug, subject"),
    ("title: Another", "line 3: “title” appears twice; it is on line 2 already"),
    (
        "slug: Hello World",
        "line 3: slug: “Hello World” may hold only a to z, 0 to 9 and single hyphens, such as hello-world",
    ),
    (f"slug: {'a' * 81}", "line 3: slug: 81 characters long; 80 are the limit"),
    (f"subject: {'a' * 201}", "line 3: subject: 201 characters long; 200 are the limit"),
    (f"preheader: {'a' * 151}", "line 3: preheader: 151 characters long; 150 are the limit"),
    ('subject: "a\\tb"', "line 3: subject: U+0009 is an invisible character"),
    ('subject: "a\\u2028b"', "line 3: subject: U+2028 is an invisible character"),
    ('subject: "a\\u202eb"', "line 3: subject: U+202E is an invisible character"),
    ('subject: "a\\ud800b"', "line 3: subject: U+D800 is an invisible character"),
    ("subject: |\n  a\n  b", "line 3: subject: must be on one line"),
    ("subject: Hello {{ fist_name|you }}", "line 3: subject: unknown merge field"),
    ("author: '{{ name|you }}'", "line 3: author: merge fields belong in the text, the subject or the preheader"),
    ("author: [a]", "line 3: author: write one value here, not a list"),
    ("author: {a: b}", "line 3: “author” has keys of its own below it"),
    ("author: A: B", "line 3: there is a second “:” on this line; put the value in quotes"),
    ("\tauthor: A", "line 3: a tab cannot stand at the beginning"),
    ("author", "line 3: this is not a “key: value” line that can be read"),
    ("author: 'A", "line 3: this is not a “key: value” line that can be read"),
    ('author: "\\UFFFFFFFF"', "line 3: this is not a “key: value” line that can be read"),
    ("%YAML 1." + "9" * 5000, "line 3: this is not a “key: value” line that can be read"),
    ("author: &a A", "line 3: YAML anchors (&) and aliases (*) are not used here"),
    ("author: *a", "line 3: YAML anchors (&) and aliases (*) are not used here"),
    ("author: !!python/name:os.system", "line 3: YAML tags (!) are not used here"),
    ("tags: [a, [b]]", "line 3: the list of “tags” may hold plain words only"),
    ("tags: [" * 1000, "line 3: "),
    ("tags: ['a,b']", "line 3: tags: “a,b” holds a comma"),
    (f"tags: {list(range(21))}", "line 3: tags: 21 of them; 20 are the limit"),
    ("evergreen: perhaps", "line 3: evergreen: “perhaps” is neither true nor false"),
    ("season: 11-15..12-31", "line 3: season: only an evergreen tip has one"),
    ("evergreen: true\nseason: winter", "line 4: season: “winter” is not a part of the year"),
    ("evergreen: true\nseason: 02-30..03-01", "line 4: season: there is no day 02-30"),
    ("series: a", "line 3: series: without “part”"),
    ("series: A B\npart: 1", "line 3: series: “A B” may hold only a to z, 0 to 9 and single hyphens, such as a-b"),
    ("part: 1", "line 3: part: without “series”"),
    ("series: a\npart: 0", "line 4: part: “0” is not a number from 1 to 999"),
    ("series: a\npart: two", "line 4: part: “two” is not a number from 1 to 999"),
    ("status: sent", "line 3: status: “sent” cannot be set; that is decided by sending and retiring, not by the file"),
    ("status: ready", "line 3: status: “ready” cannot be set; write draft or approved"),
    ("author: a" + "x" * 17000, "line 1: the front matter is longer than 16,384 characters"),
]


@pytest.mark.parametrize(("line", "fault"), KEY_FAULTS)
def test_a_wrong_key_is_reported_with_its_line(line: str, fault: str) -> None:
    """Each mistake in the front matter gives one fault, on the line where it was made."""
    (faults,) = faults_of(with_key(line))
    assert faults.startswith("line ")
    assert fault in faults


FILE_FAULTS = [
    ("", "line 1: the file is empty"),
    ("\n\nHello", "line 3: a tip begins with its title: a line such as “# Answer with a date”"),
    ("## Smaller\n\nHello", "line 1: a tip begins with its title"),
    ("#\n\nHello", "line 1: a tip begins with its title"),
    ("# Title", "line 1: the tip has no text"),
    ("# Hi {{ name|you }}\n\nHello", "line 1: title: merge fields belong in the text"),
    ("\n# 日本語\n\nHello", "line 2: slug: missing"),
    (f"# {'a' * 201}\n\nHello", "line 1: title: 201 characters long; 200 are the limit"),
    ("---\ntitle: x\nSay when.", "line 1: the front matter that begins here has no end"),
    ("---\nauthor: x\n---\nSay when.", "line 1: title: missing"),
    ("---\ntitle:\n---\nSay when.", "line 2: title: missing"),
    ("---\ntitle: ~\n---\nSay when.", "line 2: title: missing"),
    ("---\ntitle: 日本語\n---\nSay when.", "line 1: slug: missing, and the title has no letters from a to z"),
    ("---\ntitle: Hi {{ name|you }}\nsubject: x\n---\nSay when.", "line 2: title: merge fields belong in the text"),
    ("---\ntitle: Hi *|FNAME|*\n---\nSay when.", "line 2: title: *|FNAME|* is a merge tag of another service"),
    ("---\ntitle: x\n---\n\n \n", "line 4: the tip has no text"),
    ("---\ntitle: x\n---", "line 3: the tip has no text"),
    ("---\ntitle: x\x00\n---\nSay when.", "line 2: U+0000 is a character that mail cannot carry"),
    ("---\ntitle: x\n---\nSay\x1b[2J when.", "line 4: U+001B is a character that mail cannot carry"),
    ("---\ntitle: x\n---\n" + "x" * FILE_LIMIT, "line 1: the file is 1,048,593 bytes long"),
]


@pytest.mark.parametrize(("text", "fault"), FILE_FAULTS)
def test_a_file_that_is_no_tip_gets_a_reason(text: str, fault: str) -> None:
    """Each way of not being a tip file gives one fault that says what is wanted."""
    (faults,) = faults_of(text)
    assert faults.startswith(fault)


BODY_FAULTS = [
    ("Hello <b>you</b>", "line 5: HTML (“<b>”) cannot stand in a tip"),
    ("<script>\nalert(1)\n</script>", "line 5: HTML (“<script>”)"),
    ("Hello\n\n- a\n- b <!-- c -->", "line 8: an HTML comment"),
    ("<!--[if mso]>x<![endif]-->", "line 5: an HTML comment"),
    ("| a |\n|---|\n| b<br>c |", "line 7: HTML (“<br>”)"),
    ("`two\nlines` and\n<img src=x>", "line 7: HTML (“<img>”)"),
    ("one\n[a](javascript:alert%281%29)", "line 6: the link leads to “javascript:alert(1)”"),
    ("[a](JAVASCRIPT:x)", "line 5: the link leads to “JAVASCRIPT:x”"),
    ("[a](&#106;avascript:x)", "line 5: the link leads to “javascript:x”"),
    ("<vbscript:x>", "line 5: the link leads to “vbscript:x”"),
    ("[a](data:text/html,x)", "line 5: the link leads to “data:text/html,x”"),
    ("[a][b]\n\n[b]: file:///etc/passwd", "line 5: the link leads to “file:///etc/passwd”"),
    ("[a](/page)", "line 5: the link leads to “/page”; in a mail it must begin with https://"),
    ("[a]()", "line 5: the link leads to an empty address"),
    ("[a](https://)", "line 5: the link “https://” names no host"),
    ("[a](http://[)", "line 5: the link “http://[” names no host"),
    (
        "[a](https://example.com:port/)",
        "line 5: the link “https://example.com:port/” is not an address that can be read",
    ),
    ("![a](data:image/png;base64,AA)", "line 5: the picture leads to “data:image/png;base64,AA”"),
    ("![a](mailto:a@example.com)", "line 5: the picture leads to “mailto:a@example.com”"),
    ("![a](http://example.com/a.png)", "line 5: the picture leads to “http://example.com/a.png”"),
    ("[a]({{ field.site| }})", "line 5: the link leads to “{{…}}”"),
    ("[a](javascript:go({{ email }}))", "line 5: the link leads to “javascript:go({{…}})”"),
    ("a\n[a](https://{{ name|x }}.example.com/)", "line 6: the link “https://{{…}}.example.com/” has a merge field"),
    ("[a](tel:)", "line 5: the link “tel:” is not a telephone number such as tel:+1-555-0100"),
    ("[a](tel:call-me)", "line 5: the link “tel:call-me” is not a telephone number"),
    ("[a](tel:{{ field.phone| }})", "line 5: the link “tel:{{…}}” has a merge field"),
    ("x\nhttps://{{ name|x }}.example.com/", "line 6: the link “https://{{…}}.example.com/” has a merge field"),
    ("A claim.\n\nMore.[^1]", "line 7: “[^1]” is a footnote, which a mail cannot have"),
    ("A claim.[^1]\n\n[^1]: https://example.com/source", "line 7: “[^1]” is a footnote"),
    ("A claim.[^1]\n\n[^1]: Nowhere", "line 7: “[^1]” is a footnote"),
    ("[^note]: https://example.com/source\n\nNo mark.", "line 5: “[^note]” is a footnote"),
    ("A claim.^[Said in passing.]", "line 5: “^[Said in passing.]” is a footnote"),
    ("| a |\n|---|\n| b[^2] |", "line 7: “[^2]” is a footnote"),
    ("Hello {{ first_name", "line 5: {{ is never closed"),
    ("{{" * 30_000, "line 5: more than 200 merge fields on one line"),
    ("a\n\nHello {{ fist_name|you }}", "line 7: unknown merge field"),
    ("Hello {{ first_name }}", "line 5: {{ first_name }} has no fallback"),
    ("{% if x %}", "line 5: {% begins a template tag"),
    ("é" * (TIP_BODY_BYTES_MAX // 2 + 1), "line 5: the text is 61,442 bytes long; 61,440 are the limit"),
]


@pytest.mark.parametrize(("body", "fault"), BODY_FAULTS)
def test_a_text_that_cannot_be_mailed_is_reported_with_its_line(body: str, fault: str) -> None:
    """Each mistake in the text gives one fault, on its line of the file."""
    (faults,) = faults_of(with_body(body))
    assert faults.startswith(fault)


@pytest.mark.parametrize(
    "body",
    [
        "`<b>` and `<!-- x -->`",
        "`[^1]`, \\[^1], [^ 1] and x^2 [a](https://example.com/)",
        "//cdn.example.com/lib.js ftp://ftp.example.com/pub mailto: tel: x",
        "[Call](tel:+1-555-0100;ext=12) <tel:+15550100> [b](tel:112)",
        "```html\n<script>\n[a](javascript:x)\n```",
        "    <div>",
        "1 < 2 and <3 and a <- b",
        "<https://example.com/a> and <a@example.com>",
        "[a](https://example.com/?a=1&b=2) [b](http://example.org) [c](mailto:a@example.net)",
        "![a](https://example.com/a.png)",
        "[a](https://example.com/?u={{ email }}&n={{ name| }}) {{ name|<b> }}",
        "{{ first_name|there }}, {{ field.company|your firm }}, {{ email }}, \\{{ as it is",
        "עברית \u200f(\u2067x\u2069)",
    ],
)
def test_a_text_may_hold_this(body: str) -> None:
    """Code, comparisons, addresses and direction marks are no HTML and no fault."""
    assert parse_tip_file(with_body(body), file_name="tip.md").body == body


def test_all_faults_come_at_once_in_the_order_of_lines() -> None:
    """An author corrects a file once; one broken line does not hide what follows."""
    text = "---\ntitle: a: b\npin: tomorrow\n\tauthor: x\ntags: [a\nstatus: sent\n---\n<br>\n\n[a](/b)\n{{ x }}\n"
    faults = faults_of(text)
    assert [fault.split(":")[0] for fault in faults] == [f"line {n}" for n in (2, 3, 4, 5, 6, 8, 10, 11)]
    assert not any("\n" in fault for fault in faults)


def test_the_message_names_the_file_on_one_line() -> None:
    """The head of the report says which file and how many faults, even for a hostile file name."""
    with pytest.raises(InputError) as caught:
        parse_tip_file("---\npin: x\nfoo: y\n---\n", file_name="a\nb.md")
    assert str(caught.value) == "a?b.md has 4 faults; correct it and try again"
    assert len(caught.value.details) == 4


def test_a_file_that_is_no_text_at_all_does_not_flood_the_screen() -> None:
    """Two hundred faults are shown, and how many more there are."""
    faults = faults_of("\x01\n" * 1_000)
    assert len(faults) == 201
    assert faults[-1] == "line 200: from here on, 801 more"


YAMLISH = st.text(alphabet=st.sampled_from("-:#[]{}&*!|>'\"%@`~ \t\n\r\\\x00\u2028\ud800abt019,.?<"), max_size=60)


@given(st.one_of(st.text(), YAMLISH), st.one_of(st.text(), YAMLISH))
def test_nothing_but_an_input_error_is_ever_raised(front: str, body: str) -> None:
    """Whatever stands in a file, it is a tip or it has faults, each on one line and with a line number in the file."""
    for text in (
        front,
        f"---\n{front}\n---\n{body}",
        f"---\ntitle: {front}\n---\n{body}",
        f"---\ntitle: x\n{front}\n---\nx",
    ):
        details: tuple[str, ...] = ("line 1: ",)
        try:
            parse_tip_file(text, file_name="tip.md")
        except InputError as error:
            details = error.details
        assert details
        assert not any("\n" in fault for fault in details)
        numbers = [int(fault.removeprefix("line ").partition(":")[0]) for fault in details]
        assert numbers == sorted(numbers)
        assert 1 <= numbers[0] <= numbers[-1] <= len(text.splitlines()) + 2


ONE_LINE = st.text(
    alphabet=st.characters(
        exclude_categories=["Cc", "Cs", "Zl", "Zp"],
        exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff{}*",
    ),
    max_size=60,
).map(str.strip)
A_SLUG = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True)
A_DAY = st.dates(min_value=date(1900, 1, 1))
A_SEASON = st.builds(lambda a, b: Season(first=(a.month, a.day), last=(b.month, b.day)), A_DAY, A_DAY)
TEXT = st.lists(st.text(alphabet="ab 1.,*_#-é\t", min_size=1), min_size=1).map("\n".join)


@st.composite
def drafts(draw: st.DrawFn) -> TipDraft:
    """Return any draft that a file can say."""
    title = draw(ONE_LINE.filter(bool))
    evergreen = draw(st.booleans())
    in_series = draw(st.booleans())
    tags = draw(st.lists(ONE_LINE.filter(lambda tag: tag and "," not in tag), max_size=4, unique_by=str.casefold))
    return TipDraft(
        slug=draw(A_SLUG),
        title=title,
        subject=draw(ONE_LINE) or title,
        preheader=draw(ONE_LINE),
        author=draw(ONE_LINE),
        tags=tuple(tags),
        evergreen=evergreen,
        season=draw(st.none() | A_SEASON) if evergreen else None,
        pin=draw(st.none() | A_DAY),
        part=TipPart(series=draw(A_SLUG), number=draw(st.integers(1, 999))) if in_series else None,
        first_published=draw(st.none() | A_DAY),
        listed=draw(st.booleans()),
        status=draw(st.sampled_from([TipStatus.DRAFT, TipStatus.APPROVED])),
        body="x" + draw(TEXT).rstrip(),
    )


@given(drafts())
def test_what_is_written_reads_back_the_same(draft: TipDraft) -> None:
    """Writing the file of a draft and reading it again loses and adds nothing."""
    text = render_tip_file(draft)
    assert parse_tip_file(text, file_name="tip.md") == draft
    assert render_tip_file(parse_tip_file(text, file_name="tip.md")) == text


def test_a_tag_may_end_in_a_question_mark() -> None:
    """A sign that means something to YAML at the end of a list is put in quotes."""
    draft = TipDraft(slug="a", title="Why?", subject="Why?", tags=("Why?",), body="Because.")
    assert parse_tip_file(render_tip_file(draft), file_name="tip.md") == draft


def test_a_written_file_is_pleasant_to_read() -> None:
    """Plain words stand without quotes, defaults are left out, and the slug is kept even if the title changes later."""
    draft = TipDraft(slug=slug_from("Say when"), title="Say when", subject="Say when", tags=("a", "b: c"), body="Now.")
    assert render_tip_file(draft) == (
        '---\ntitle: Say when\nslug: say-when\ntags: [a, "b: c"]\nstatus: draft\n---\n\nNow.\n'
    )
