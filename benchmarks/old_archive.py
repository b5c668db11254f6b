"""What it costs to bring an old archive along: `python benchmarks/old_archive.py` imports exports that it writes.

In: how large the exports are. Out: for each the seconds, those of CPU, and the peak memory of the command beyond that
of an import of ten posts. Each import is the real command on a fresh installation on SQLite, and then once more, when
all is known. Other work on the machine stretches the seconds, and those of CPU much less.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024
POST_BYTES = 1_900
"""Of HTML: some 300 words, as a tip has."""
COMMENTS_PER_POST = 6
ATTACHMENTS_PER_POST = 1
META_KEYS = 12
TEXTS = 300
"""Texts that the posts are made of; each post has words of its own in it."""

HEAD = """<?xml version="1.0" encoding="UTF-8" ?>
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/" \
xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/" \
xmlns:wp="http://wordpress.org/export/1.2/"><channel><title>Tips</title><link>https://old.example.com</link>
<wp:wxr_version>1.2</wp:wxr_version><wp:base_blog_url>https://old.example.com</wp:base_blog_url>
"""
TAIL = "</channel></rss>\n"
WORDS = "when a customer calls listen before you answer say what happens next and by when use their name".split()  # noqa: SIM905
FOOTER = (
    '<a href="https://old.example.com/sign-up">Signup for FREE Tips!</a>\n\n<a href="https://old.example.com/c">Contact'
    ' Us</a> | <a href="https://old.example.com/r">More Resources</a> | <a href="https://old.example.com/">Home</a>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One call of the command."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    added: int


def main() -> None:
    """Write the exports, import each twice, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=2_000, help="posts of the export that holds nothing else")
    parser.add_argument("--megabytes", type=int, default=100, help="size of the export that holds what a blog has")
    asked = parser.parse_args()
    texts = _texts(random.Random(7))  # noqa: S311 the same texts each time
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print("| export | entries added | first: seconds | CPU | memory beyond ten posts | again: seconds | CPU |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="nl-old-archive-") as name:
        folder = Path(name)
        few = folder / "few.xml"
        _write(few, _posts(texts, 10))
        least = _run(folder, few, "few").peak_bytes
        if asked.posts:
            bare = folder / "posts.xml"
            _write(bare, _posts(texts, asked.posts))
            _measure(folder, bare, f"{asked.posts:,} posts", least)
        if asked.megabytes:
            blog = folder / "blog.xml"
            _write(blog, _blog(texts), size=asked.megabytes * MB)
            _measure(folder, blog, "a blog", least)


def _measure(folder: Path, file: Path, label: str, least: int) -> None:
    first = _run(folder, file, file.stem)
    again = _run(folder, file, file.stem)
    label = f"{label}, {file.stat().st_size / MB:.1f} MB"
    more = f"{max(0, first.peak_bytes - least) / MB:.0f} MB"
    print(
        f"| {label} | {first.added:,} | {first.seconds:.1f} | {first.cpu_seconds:.1f} | {more}"
        f" | {again.seconds:.1f} | {again.cpu_seconds:.1f} |",
        flush=True,
    )


def _run(folder: Path, file: Path, home: str) -> Run:
    """Call the command in an installation of its own, and return what it took."""
    command = [str(Path(sys.executable).with_name("newsletter")), "-C", str(folder / home)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_STATE_HOME": str(folder / f"{home}-state")}
    if not (folder / home).exists():
        options = {"--from": "tips@example.com", "--postal-address": "Example Street 1", "--time-zone": "UTC"}
        flat = [word for pair in options.items() for word in pair]
        init = [*command, "init", str(folder / home), "--base-url", "https://news.example.com", *flat]
        subprocess.run([*init, "--smtp-host", "localhost"], check=True, env=environ, capture_output=True)
    began = time.monotonic()
    with (folder / "report.json").open("wb") as out:
        process = subprocess.Popen([*command, "tip", "import", str(file), "--json"], env=environ, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if process.returncode:
        message = f"the import ended with {process.returncode}"
        raise RuntimeError(message)
    report = json.loads((folder / "report.json").read_text())
    return Run(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
        added=report["added"],
    )


def _write(file: Path, items: Iterator[str], *, size: int = 0) -> None:
    """Write an export: all the items, or so many that it has this size."""
    with file.open("w") as out:
        out.write(HEAD)
        for number, item in enumerate(items):
            out.write(item)
            if size and number % 100 == 0 and out.tell() >= size:
                break
        out.write(TAIL)


def _texts(chance: random.Random) -> list[str]:
    """Return texts as tips have them: paragraphs, a list, bold words, a link, the footer."""

    def words(count: int) -> str:
        return " ".join(chance.choice(WORDS) for _ in range(count))

    texts = []
    for _ in range(TEXTS):
        parts: list[str] = []
        while sum(map(len, parts)) < POST_BYTES - len(FOOTER):
            parts.append(f"{words(30).capitalize()}, said NAME. {words(14).capitalize()}.")
            parts.append(f"<strong>{words(3).capitalize()}.</strong> {words(20)}.")
            parts.append("<ul>\n" + "".join(f"\t<li>{words(8)}</li>\n" for _ in range(3)) + "</ul>")
            parts.append(
                f'See <a href="https://old.example.com/2014/07/tip-{chance.randrange(2_000)}/">{words(3)}</a>.'
            )
        texts.append("\n\n".join([*parts, FOOTER]))
    return texts


def _posts(texts: list[str], count: int) -> Iterator[str]:
    for number in range(count):
        yield _item(number, "post", texts[number % TEXTS].replace("NAME", f"Reader {number}"), "")


def _blog(texts: list[str]) -> Iterator[str]:
    """Yield what a blog exports: posts with comments and the keys of plugins, and the pictures between them."""
    comment = f"<wp:comment><wp:comment_content><![CDATA[{' '.join(WORDS * 6)}]]></wp:comment_content></wp:comment>\n"
    meta = "".join(
        f"<wp:postmeta><wp:meta_key><![CDATA[_plugin_key_{key}]]></wp:meta_key><wp:meta_value><![CDATA[{'x' * 60}]]>"
        "</wp:meta_value></wp:postmeta>\n"
        for key in range(META_KEYS)
    )
    number = 0
    while True:
        text = texts[number % TEXTS].replace("NAME", f"Reader {number}")
        yield _item(number, "post", text, meta + comment * COMMENTS_PER_POST)
        for _ in range(ATTACHMENTS_PER_POST):
            yield _item(number, "attachment", "", meta)
        number += 1


def _item(number: int, kind: str, text: str, more: str) -> str:
    month, day, year = number // 28 % 12 + 1, number % 28 + 1, 2_000 + number // 336 % 25
    return f"""<item><title>Say the next step {number} - {month}/{day}/{year % 100:02} TOW</title>
<link>https://old.example.com/2014/07/{kind}-{number}/</link><dc:creator><![CDATA[robin]]></dc:creator>
<guid isPermaLink="false">https://old.example.com/?p={number}</guid><description></description>
<content:encoded><![CDATA[{text}]]></content:encoded><excerpt:encoded><![CDATA[]]></excerpt:encoded>
<wp:post_id>{number}</wp:post_id><wp:post_date><![CDATA[{year}-{month:02}-{day:02} 09:00:00]]></wp:post_date>
<wp:post_name><![CDATA[tip-{number}]]></wp:post_name><wp:status><![CDATA[publish]]></wp:status>
<wp:post_type><![CDATA[{kind}]]></wp:post_type><category domain="category" nicename="business-advice">\
<![CDATA[Business Advice]]></category><category domain="post_tag" nicename="upset"><![CDATA[upset]]></category>
{more}</item>
"""


if __name__ == "__main__":
    main()
