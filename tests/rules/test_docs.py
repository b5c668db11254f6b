"""Rules of the docs: what the code can do is documented, and what the docs name is there."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

import pytest
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from newsletter.cli.main import app
from newsletter.core.message import Publication
from newsletter.core.tip import TipDraft
from newsletter.errors import NewsletterError
from newsletter.operations.alert_hooks import TEXT_VARIABLE
from newsletter.render.edition import _values
from newsletter.render.splice import Sentinels
from newsletter.settings.loader import HOME_NAME
from newsletter.settings.model import FILE_SUFFIX, SETTING_PREFIX, settings_help

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = {"", "sh", "bash", "console", "shell"}
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"((?:[\w.-]+/)+[\w.-]*|\w+\.(?:py|lock|toml))(?:::?([\w.]+))?")
OURS = re.compile(
    r"(newsletter|tests|docs|templates|benchmarks|deploy|cli|web|sending|operations|journal|simulation|settings|testing|flows|store"
    r"|render|transport|schedule|core)/"
    r"|(wiring|clock|errors)\.py"
)

Command = TyperGroup | TyperCommand


def text_of(name: str) -> str:
    """Return a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def spans(name: str) -> list[str]:
    """Return what stands between backquotes in the prose of a page, each on one line."""
    paragraphs = re.split(r"\n\s*\n", FENCE.sub("", text_of(name)))
    attributes = [
        span for one in paragraphs for _, span in re.findall(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", one, re.DOTALL)
    ]
    return [" ".join(span.replace("\\|", "|").split()) for span in attributes]


@cache
def root() -> TyperGroup:
    """Return the whole command line."""
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    return command


def commands() -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """Yield every command that does something, with the words that call it."""
    for name, command in root().commands.items():
        if isinstance(command, TyperGroup):
            for verb, subcommand in command.commands.items():
                assert isinstance(subcommand, TyperCommand)
                yield (name, verb), subcommand
        else:
            assert isinstance(command, TyperCommand)
            yield (name,), command


def variables(values: Mapping[str, object]) -> Iterator[str]:
    """Yield every name that a template can write, with dots."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{below}" for below in variables(value))
        else:
            yield name


# What the code can do is documented.


@pytest.mark.parametrize("name", ["docs/commands.md", "docs/settings.md"])
def test_the_reference_is_what_the_code_says(name: str) -> None:
    """A command, an option or a setting that was added, changed or taken away is in the reference."""
    written = {path.name: text for path, text in runpy.run_path(str(DOCS / "generate.py"))["pages"]().items()}
    assert text_of(name) == written[Path(name).name], "the code has changed since: run `make docs`, and commit the page"


def test_every_command_and_option_is_documented() -> None:
    """The page of the commands has a heading for each command, with each of its options below."""
    sections = re.split(r"^#{2,3} (?=`)", text_of("docs/commands.md"), flags=re.MULTILINE)
    missing = []
    for words, command in commands():
        head = " ".join(["newsletter", *words])
        matching_sections = [one for one in sections if re.match(rf"`{re.escape(head)}[ `]", one)]
        if len(matching_sections) != 1:
            missing.append(head)
            continue
        opts = [opt for one in command.params if isinstance(one, TyperOption) for opt in one.opts]
        missing += [f"{head} {opt}" for opt in opts if not re.search(rf"`{opt}[ `]", matching_sections[0])]
    assert missing == []


def test_every_setting_is_documented() -> None:
    """Each setting has a row of its own, and each secret its file form."""
    page = text_of("docs/settings.md")
    rows = re.findall(r"^\| `(NEWSLETTER_\w+)` \|", page, re.MULTILINE)
    assert rows == [one.name for one in settings_help()]
    assert [one.name for one in settings_help() if one.secret and f"`{one.name}{FILE_SUFFIX}`" not in page] == []


def test_every_exit_code_is_documented() -> None:
    """The table has a row for success and for each code that an error of ours gives, and no other."""

    def kinds(kind: type[NewsletterError]) -> Iterator[type[NewsletterError]]:
        yield kind
        for below in kind.__subclasses__():
            yield from kinds(below)

    rows = re.findall(r"^\| `(\d+)` \|", text_of("docs/exit-codes.md"), re.MULTILINE)
    assert [int(row) for row in rows] == sorted({0, *(kind.exit_code for kind in kinds(NewsletterError))})


def test_every_template_variable_is_documented() -> None:
    """What a template of an operator may use stands on the page about the mail."""
    tip = TipDraft(
        slug="a", title="A", subject="A", body="A\n\n[B](https://example.com)", tags=("t",), author="C", preheader="D"
    )
    publication = Publication(
        name="N",
        from_email="tips@example.com",
        reply_to="tips@example.com",
        postal_address="1 Example Street",
        base_url="https://news.example.com",
    )
    values, _ = _values(tip, publication, Sentinels("0123456789abcdef0123"), date(2026, 11, 24), "2026-11-24")
    page = set(spans("docs/the-mail.md"))
    shortened = {f"publication.{one[1:]}" for one in page if re.fullmatch(r"\.\w+_url", one)}
    assert sorted(set(variables(values)) - page - shortened - {"tip.button.url", "tip.button.label"}) == []
    assert {"tip.button.url", "tip.button.label", "subject"} <= page


# What the docs name is there.


@cache
def names_of_tests() -> frozenset[str]:
    """Return the name of every test and of every file of tests."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    functions = {one for file in files for one in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)}
    return frozenset(functions | {file.stem for file in files})


def fault_of(line: str, *, whole: bool = True) -> str:
    """Return what is wrong with a command line as the docs write it, or nothing.

    Only its words are judged; nothing is run, and no file has to exist. A line that is not `whole` may leave out
    arguments, as prose does that speaks of `newsletter tip approve`.
    """
    words = [word.strip("[]") for word in shlex.split(line, comments=True)[1:]]
    try:
        command, left = find(root(), words)
        places = [one for one in command.params if isinstance(one, TyperArgument)]
        arguments = without_options(command, left)
    except LookupError as error:
        return str(error.args[0])
    if not arguments and (isinstance(command, TyperGroup) or not whole):
        return ""
    most = len(places) if all(one.nargs == 1 for one in places) else len(arguments)
    least = sum(one.required for one in places)
    return "" if least <= len(arguments) <= most else f"{len(arguments)} arguments instead of {least} to {most}"


def find(command: Command, words: Sequence[str]) -> tuple[Command, list[str]]:
    """Follow the nouns and verbs at the beginning of a line; return the command, and the words that are left to it."""
    if not isinstance(command, TyperGroup):
        return command, list(words)
    options = [at for at, word in enumerate(words) if word.startswith("-")]
    # The one global option with a value is -C; all that follows a noun or a verb is its own.
    name_at = 2 if options[:1] == [0] and words[0] in {"-C", "--home"} else 0
    without_options(command, words[:name_at])
    if len(words) <= name_at or words[name_at].startswith("-"):
        return command, list(words[name_at:])
    name = words[name_at]
    if name not in command.commands:
        raise LookupError(f"{name!r} is no command")
    subcommand = command.commands[name]
    assert isinstance(subcommand, TyperGroup | TyperCommand)
    return find(subcommand, words[name_at + 1 :])


def without_options(command: Command, words: Sequence[str]) -> list[str]:
    """Take the options with their values out of the words of a command; raise `LookupError` for one that it has not."""
    known = {opt: one for one in command.params if isinstance(one, TyperOption) for opt in one.opts}
    left, rest = list(words), []
    while left:
        word = left.pop(0)
        name, equals, _ = word.partition("=")
        if not name.startswith("-") or name == "-":
            rest.append(word)
        elif name in known:
            if not (known[name].is_flag or equals or left):
                raise LookupError(f"{name} needs a value")
            if not (known[name].is_flag or equals):
                left.pop(0)
        elif name != "--help":
            raise LookupError(f"{name} is no option of it")
    return rest


def called(name: str) -> Iterator[tuple[str, bool]]:
    """Yield every command line of a page, and whether it is whole, as in shell fences, or mentioned in the prose."""
    groups = {words[0] for words, _ in commands() if len(words) > 1}
    for kind, fence in FENCE.findall(text_of(name)):
        if kind in SHELL:
            for line in fence.replace("\\\n", " ").splitlines():
                for part in re.split(r"\s(?:&&|\|\||;)\s", line):
                    match = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\S*/)?(newsletter (?:-|[a-z]).*)", part)
                    if match:
                        yield re.split(r"\s[|>&<]", match[1])[0], True
    for span in spans(name):
        if re.match(r"newsletter (?:-|[a-z])", span):
            yield span, False
        elif span.split(" ")[0] in groups and re.fullmatch(r"[a-z]+ [a-z]+(?: .*)?", span):
            yield f"newsletter {span}", False


def test_the_check_of_commands_can_tell() -> None:
    """A command that is written rightly passes, and each way of writing it wrongly is found."""
    right = ["newsletter --help", "newsletter -C /srv/tips queue --weeks 4", "newsletter edition send [DATE] --now"]
    wrong = [
        "newsletter fly",
        "newsletter tip fly",
        "newsletter queue 7",
        "newsletter tip show",
        "newsletter tip pin a",
    ]
    assert [fault_of(line) for line in right] == [""] * len(right)
    assert [line for line in wrong if not fault_of(line)] == []
    assert fault_of("newsletter queue --wings") == "--wings is no option of it"


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_the_docs_exist(name: str) -> None:
    """Whoever copies a command from the docs gets what the docs say, not a usage message."""
    faults = [f"{line}: {fault}" for line, whole in called(name) if (fault := fault_of(line, whole=whole))]
    assert faults == []


@pytest.mark.parametrize("name", NAMES)
def test_settings_in_the_docs_exist(name: str) -> None:
    """A setting that the docs name is one, and a family such as `NEWSLETTER_SMTP_*` has members."""
    known = {one.name for one in settings_help()} | {HOME_NAME, TEXT_VARIABLE}
    known |= {one.name + FILE_SUFFIX for one in settings_help() if one.secret}
    families = {
        one
        for one in re.findall(rf"({SETTING_PREFIX}[A-Z0-9_]+_)\*", text_of(name))
        if any(have.startswith(one) for have in known)
    }
    assert sorted(set(re.findall(rf"{SETTING_PREFIX}[A-Z0-9_]+", text_of(name))) - known - families) == []


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("docs/decisions/")])
def test_files_and_functions_in_the_docs_exist(name: str) -> None:
    """A file between backquotes exists, and so does the name after its colon; a decision tells of its day."""
    missing = []
    for span in spans(name):
        if re.fullmatch(r"test_\w+", span) and span not in names_of_tests():
            missing.append(span)
        match = FILE.fullmatch(span)
        if not match or not OURS.match(match[1]):
            continue
        homes = [ROOT / match[1], ROOT / "newsletter" / match[1], ROOT / "templates" / match[1]]
        file = next((one for one in homes if one.exists()), None)
        if file is None:
            missing.append(span)
        elif match[2]:
            last = match[2].split(".")[-1]
            if not re.search(rf"^\s*(?:def |class )?{last}\b", file.read_text(encoding="utf-8"), re.MULTILINE):
                missing.append(span)
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_tests_in_the_docs_exist(name: str) -> None:
    """A link to a file of tests bears the name of a test in it, as words."""
    missing = []
    for words, link in re.findall(r"\[([^\]`]+)\]\(((?:\.\./)*tests/[^)]+\.py)\)", text_of(name)):
        called = f"def test_{words.replace(' ', '_')}("
        file = (ROOT / name).parent / link
        if not file.exists() or called not in file.read_text(encoding="utf-8"):
            missing.append(f"{link}: {called}")
    assert missing == []


def anchors(page: Path) -> set[str]:
    """Return the names under which the headings of a page can be linked to."""
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_nobody_is_sent_to_an_index_that_does_not_have_us() -> None:
    """The package is on no index, so neither docs nor messages say to install it by its name: only from the source."""
    texts = {path: path.read_text() for path in (*PAGES, *ROOT.glob("newsletter/**/*.py"), *ROOT.glob("*.env"))}
    by_name = re.compile(r"(?<![\w./-])newsletter\[|pip install '?newsletter\b")
    assert [path.name for path, text in texts.items() if by_name.search(text)] == []
    known = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    named = {
        one for text in texts.values() for found in re.findall(r"'\.\[([\w,]+)\]'", text) for one in found.split(",")
    }
    assert named == {"dkim", "postgres", "webhooks"} <= known


@pytest.mark.parametrize("name", NAMES)
def test_links_in_the_docs_resolve(name: str) -> None:
    """A link to a page, a picture, a file or a heading leads somewhere."""
    folder = (ROOT / name).parent
    broken = []
    for link in LINK.findall(FENCE.sub("", text_of(name))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = folder / path if path else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


NOT_YET = {
    "No writing in the browser": "newsletter/web/admin/tips.py",
}
"""What the README says is missing, and the file or the command with which it will have come."""


@pytest.mark.parametrize("words", NOT_YET)
def test_what_is_not_there_yet_is_not_there(words: str) -> None:
    """Whoever adds what the README says is missing takes the sentence out, here as well."""
    sign = NOT_YET[words]
    exists = (ROOT / sign).exists() if "/" in sign else tuple(sign.split()) in dict(commands())
    assert words in " ".join(text_of("README.md").split())
    assert not exists, f"{sign} is there: the README has no need to say that it is not"


def test_every_page_is_in_the_index() -> None:
    """A page that nothing leads to is not read."""
    index = DOCS / "README.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text(encoding="utf-8"))}
    pages = {page.resolve() for page in DOCS.rglob("*.md")} - {index.resolve()}
    assert sorted(page.name for page in pages - linked) == [], "add a line to docs/README.md"


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_in_the_docs_exist(name: str) -> None:
    """`make demo` in the docs is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    fences = "\n".join(fence for kind, fence in FENCE.findall(text_of(name)) if kind in SHELL)
    asked = re.findall(r"^(?:\$ )?make ([a-z]+)", fences, re.MULTILINE)
    asked += [match[1] for span in spans(name) if (match := re.match(r"make ([a-z]+)", span))]
    assert sorted(set(asked) - targets) == []
