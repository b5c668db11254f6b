"""The imprint and the privacy page: filled by settings, replaced by an operator's own words and files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from newsletter.render.environment import make_environment
from tests.web.conftest import PUBLIC, Stage, WebParts, asking


def test_the_imprint_names_the_publisher(stage: tuple[Stage, str], parts: WebParts) -> None:
    """Name, postal address, the operator's own lines as text, and where to write."""
    imprint = "Responsible: the board\nRegister: <b>1204</b>"
    for ask in asking(stage, replace(parts, web_options=replace(PUBLIC, imprint=imprint))):
        text = ask("GET", "/imprint").text
        for words in ("Example Society", "1 Example Street", "Responsible: the board", "&lt;b&gt;1204&lt;/b&gt;"):
            assert words in text
        assert "mailto:hello@news.example.com" in text


def test_the_privacy_page_tells_the_periods(stage: tuple[Stage, str], parts: WebParts) -> None:
    """It has the period of the settings, may be cached, and is linked from the form."""
    for ask in asking(stage, replace(parts, web_options=replace(PUBLIC, keep_deliveries_days=365))):
        answer = ask("GET", "/privacy")
        assert "365 days" in answer.text
        assert "{" not in answer.text
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        assert ask("GET", "/privacy", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        form = ask("GET", "/subscribe").text
        assert form.count('href="/privacy"') == 2
        assert 'href="/imprint"' in form


def test_a_policy_elsewhere_is_linked_instead(stage: tuple[Stage, str], parts: WebParts) -> None:
    """`NEWSLETTER_PRIVACY_URL` takes the place of the page."""
    elsewhere = replace(PUBLIC, privacy_url="https://www.example.com/privacy")
    for ask in asking(stage, replace(parts, web_options=elsewhere)):
        form = ask("GET", "/subscribe").text
        assert form.count('href="https://www.example.com/privacy"') == 2
        assert 'href="/privacy"' not in form


def test_an_operator_replaces_words_and_files(tmp_path: Path, stage: tuple[Stage, str], parts: WebParts) -> None:
    """A sentence by the words file, a whole page by a template of the same name."""
    (tmp_path / "web" / "words").mkdir(parents=True)
    (tmp_path / "web" / "words" / "en.toml").write_text('[privacy]\nwhere_text = "Our relay is Example Mail."\n')
    (tmp_path / "web" / "public").mkdir()
    (tmp_path / "web" / "public" / "imprint.html").write_text("Our imprint: {{ publication.name }}")
    for ask in asking(stage, replace(parts, templates=make_environment(tmp_path))):
        assert "Our relay is Example Mail." in ask("GET", "/privacy").text
        assert ask("GET", "/imprint").text == "Our imprint: Tip of the Week"


def test_without_public_pages_there_is_no_imprint(stage: tuple[Stage, str], parts: WebParts) -> None:
    """An update exposes nothing new."""
    for ask in asking(stage, replace(parts, web_options=replace(PUBLIC, public=False))):
        assert ask("GET", "/imprint").status_code == 404
