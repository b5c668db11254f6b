"""The sentences of the public pages and of the mails that they cause, in the language of the newsletter.

In: the templates and the language. Out: sentences by section and name. English comes with the package; an operator's
own file takes its place sentence by sentence, and a mistake in it is told with the file when the service starts.
"""

from __future__ import annotations

import string
import tomllib
from collections import defaultdict
from collections.abc import Mapping

from jinja2 import Environment
from jinja2.exceptions import TemplateNotFound

from newsletter.errors import InputError
from newsletter.render.environment import packaged_templates

Texts = Mapping[str, Mapping[str, str]]
"""Sentences by section and name."""

WORDS_FOLDER = "web/words"
_ENGLISH = "en"
"""The language whose file is whole; an operator's own file of this name replaces sentences as any other."""


def load_texts(templates: Environment, language: str, *, folder: str = WORDS_FOLDER) -> Texts:
    """Return the sentences of a language, from the files of a folder; what its files leave out is English.

    `pt-BR` looks into `pt.toml` and then into `pt-BR.toml`. Raises `InputError` for a file that is no TOML, a sentence
    that no page has, and a name in braces that is not filled in.
    """
    shipped = tomllib.loads((packaged_templates() / f"{folder}/{_ENGLISH}.toml").read_text(encoding="utf-8"))
    texts = {section: dict(sentences) for section, sentences in shipped.items()}
    primary = language.partition("-")[0]
    for name in dict.fromkeys((_ENGLISH, primary, language)):
        for section, sentences in _read(templates, folder, name).items():
            for key, sentence in sentences.items():
                _check(texts, section, key, sentence, f"{folder}/{name}.toml")
                texts[section][key] = sentence
    return texts


def words_language(templates: Environment, language: str) -> str:
    """Return the language that the sentences are in: English for a language without a file of its own."""
    names = (language, language.partition("-")[0])
    return language if any(_read(templates, WORDS_FOLDER, name) for name in names) else _ENGLISH


def fill_section(texts: Texts, section: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the sentences of a section with their names filled in; a name that `values` does not have is left out."""
    known = defaultdict(str, values)
    return {key: sentence.format_map(known) for key, sentence in texts[section].items()}


def _read(templates: Environment, folder: str, language: str) -> Texts:
    name = f"{folder}/{language}.toml"
    if templates.loader is None:
        return {}
    try:
        source = templates.loader.get_source(templates, name)[0]
    except TemplateNotFound:
        return {}
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"template {name}: {error}") from error


def _check(texts: Texts, section: str, key: str, sentence: object, file: str) -> None:
    where = f"template {file}, {section}.{key}"
    if not isinstance(sentence, str):
        raise InputError(f"{where}: a sentence in quotation marks is needed")
    known = texts.get(section, {}).get(key)
    if known is None:
        raise InputError(f"{where}: no page has this sentence")
    try:
        unknown = _fields(sentence) - _fields(known)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    if unknown:
        raise InputError(f"{where}: {{{min(unknown)}}} is not filled in here")


def _fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
