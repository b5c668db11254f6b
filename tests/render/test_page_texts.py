"""The sentences of the pages: English, and an operator's own language."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.errors import InputError
from newsletter.render.environment import make_environment
from newsletter.render.texts import load_texts


def with_words(folder: Path, **files: str) -> Path:
    """Write files of sentences into an operator's folder of templates."""
    words = folder / "web" / "words"
    words.mkdir(parents=True)
    for language, text in files.items():
        (words / f"{language.replace('_', '-')}.toml").write_text(text, encoding="utf-8")
    return folder


def test_english_comes_along() -> None:
    """Whatever the language, each sentence is there."""
    english = load_texts(make_environment(None), "en")
    assert english["subscribe"]["button"] == "Subscribe"
    assert load_texts(make_environment(None), "de") == english


def test_an_operator_translates_sentence_by_sentence(tmp_path: Path) -> None:
    """The file of the language, then that of the region; what they leave out is English."""
    folder = with_words(
        tmp_path,
        pt='[subscribe]\nbutton = "Assinar"\nemail = "E-mail"\n',
        pt_BR='[subscribe]\nbutton = "Quero receber"\n',
    )
    texts = load_texts(make_environment(folder), "pt-BR")
    assert texts["subscribe"]["button"] == "Quero receber"
    assert texts["subscribe"]["email"] == "E-mail"
    assert texts["subscribe"]["first_name"] == "First name"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[subscribe\n", r"web/words/de\.toml"),
        ('[subscribe]\nbuton = "x"\n', r"subscribe\.buton: no page has this sentence"),
        ("[subscribe]\nbutton = 7\n", r"subscribe\.button: a sentence in quotation marks"),
        ('[subscribe]\nbutton = "{day}"\n', r"\{day\} is not filled in here"),
        ('[subscribe]\nnext = "{day"\n', r"subscribe\.next"),
    ],
)
def test_a_mistake_is_reported_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    """The operator reads the file and the sentence when the service starts."""
    with pytest.raises(InputError, match=words):
        load_texts(make_environment(with_words(tmp_path, de=text)), "de")
