"""The pages as text: nothing foreign in them, an operator's own templates, and faults told at the start."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from jinja2 import Environment

from newsletter.core.message import Publication, PublicationLinks
from newsletter.errors import InputError
from newsletter.render.environment import make_environment
from newsletter.web.pages import Page, Pages, render_pages
from tests.web.conftest import PUBLICATION

NAMES = [field.name for field in fields(Pages)]


def page(templates: Environment, name: str, publication: Publication = PUBLICATION) -> Page:
    """Render one page."""
    rendered: Page = getattr(render_pages(templates, publication), name)
    return rendered


@pytest.mark.parametrize("name", NAMES)
def test_pages_load_nothing_and_run_nothing(templates: Environment, name: str) -> None:
    """No script, no picture, no font and no style from elsewhere; the address of the page stays with the reader."""
    html = page(templates, name).html
    assert not re.search(r"<script|<img|<iframe|<link|@import|url\(|\son\w+=|\sstyle=|\ssrc=", html)
    assert set(re.findall(r'href="([^"]+)"', html)) <= {
        "https://www.example.com/join",
        "mailto:hello@news.example.com",
        "mailto:hello@news.example.com?subject=Unsubscribe",
        "mailto:hello@news.example.com?subject=Subscribe%20again",
    }


@pytest.mark.parametrize("name", NAMES)
def test_pages_can_be_read_aloud(templates: Environment, name: str) -> None:
    """Language, title, one main heading, one main part: what a screen reader looks for."""
    html = page(templates, name, replace(PUBLICATION, language="pt-BR")).html
    assert '<html lang="pt-BR">' in html
    assert re.search(r"<title>\S[^<]+ \S Tip of the Week</title>", html)
    assert [html.count(tag) for tag in ("<h1>", "<main", "<header>")] == [1, 1, 1]
    assert 'content="width=device-width, initial-scale=1"' in html


@pytest.mark.parametrize("name", NAMES)
def test_only_the_style_of_the_page_is_allowed(templates: Environment, name: str) -> None:
    """The policy names the style sheet by its hash; what a stranger might smuggle in has another."""
    rendered = page(templates, name)
    (style,) = re.findall(r"<style>(.*?)</style>", rendered.html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert rendered.policy["style-src"] == (f"'sha256-{digest}'",)


def test_names_are_escaped(templates: Environment) -> None:
    """A publication may bear any name."""
    html = page(templates, "unsubscribed", replace(PUBLICATION, name="Tips & <b>Tricks</b>")).html
    assert "Tips &amp; &lt;b&gt;Tricks&lt;/b&gt;" in html
    assert "<b>" not in html


def test_without_a_sign_up_page_one_can_write(templates: Environment) -> None:
    """The way back is the sign-up page, and a mail where there is none."""
    assert "https://www.example.com/join" in page(templates, "unsubscribed").html
    without = page(templates, "unsubscribed", replace(PUBLICATION, links=PublicationLinks())).html
    assert "Subscribe again</a>" not in without
    assert "write to us: <a" in without


def test_an_operator_overrides_file_by_file(tmp_path: Path) -> None:
    """A page of the operator's own takes the place of ours, in our layout, with its own style allowed."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "done.html").write_text(
        '{% extends "web/layout.html" %}{% block title %}Fertig{% endblock %}'
        "{% block main %}<style>h1 { color: teal }</style><h1>Abgemeldet</h1>{% endblock %}",
    )
    pages = render_pages(make_environment(tmp_path), PUBLICATION)
    assert "<h1>Abgemeldet</h1>" in pages.unsubscribed.html
    assert "--brand" in pages.unsubscribed.html
    assert len(pages.unsubscribed.policy["style-src"]) == 2
    assert "Unsubscribe from Tip of the Week?" in pages.unsubscribe.html


def test_an_operator_translates_the_sentences(tmp_path: Path) -> None:
    """The words file of the language is that of these pages too; what it leaves out is English, and so is the tag."""
    (tmp_path / "web" / "words").mkdir(parents=True)
    (tmp_path / "web" / "words" / "de.toml").write_text('[leave]\nheading = "{name} abbestellen?"\n')
    for language, heading, tag in (
        ("de-AT", "Tip of the Week abbestellen?", "de-AT"),
        ("fr", "Unsubscribe from", "en"),
    ):
        html = page(make_environment(tmp_path), "unsubscribe", replace(PUBLICATION, language=language)).html
        assert heading in html
        assert f'<main lang="{tag}">' in html


@pytest.mark.parametrize("wrong", ["{% if %}", "{{ publication.nmae }}", "{{ subscriber.email }}"])
def test_a_wrong_template_is_reported_at_the_start(tmp_path: Path, wrong: str) -> None:
    """The operator hears of a mistake with its file when the service starts; no reader ever does."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "trouble.html").write_text(wrong)
    with pytest.raises(InputError, match=r"trouble\.html"):
        render_pages(make_environment(tmp_path), PUBLICATION)
