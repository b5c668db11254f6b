"""The template environment: a sandbox that knows strings, and where the templates are.

In: the operator's folder, if there is one. Out: a Jinja environment and rendered text. Each fault of a template is an
`InputError` that names its file and line; a template never sees a subscriber.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.filters import do_urlencode
from jinja2.sandbox import ImmutableSandboxedEnvironment

import newsletter
from newsletter.errors import InputError
from newsletter.render.splice import AskedAboutSubscriber, Personal

_PACKAGE = Path(newsletter.__file__).parent
_NEEDLESS_GLOBALS = ("range", "lipsum", "cycler", "joiner", "namespace", "dict")


def packaged_templates() -> Path:
    """Return the folder of the templates: inside the installed package, or beside it in a source checkout."""
    inside = _PACKAGE / "templates"
    return inside if inside.is_dir() else _PACKAGE.parent / "templates"


def make_environment(overrides: Path | None = None) -> Environment:
    """Return the environment; a file in `overrides` takes the place of the packaged file of the same name."""
    folders = [*([overrides] if overrides else []), packaged_templates()]
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=select_autoescape(["html", "xml"], default_for_string=False),
        undefined=StrictUndefined,
        finalize=_refuse_none,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in _NEEDLESS_GLOBALS:
        environment.globals.pop(name, None)
    environment.filters["urlencode"] = _urlencode
    return environment


def templates_digest(environment: Environment, prefix: str) -> str:
    """Return a digest of the templates below a folder, the operator's own where there are some."""
    whole = hashlib.sha256()
    for name in sorted(environment.list_templates()):
        if name.startswith(prefix) and environment.loader is not None:
            source = environment.loader.get_source(environment, name)[0]
            whole.update(f"{name}\n{len(source)}\n{source}".encode())
    return whole.hexdigest()


def check_templates(environment: Environment, prefix: str) -> None:
    """Compile the templates below a folder; raise `InputError` with file and line for one that is no template."""
    for name in environment.list_templates():
        if name.startswith(prefix) and name.endswith((".html", ".xml")):
            try:
                environment.get_template(name)
            except TemplateSyntaxError as error:
                raise InputError(f"template {error.name or name}, line {error.lineno}: {error.message}") from error


def render_template(environment: Environment, name: str, values: Mapping[str, object]) -> str:
    """Render one template; raise `InputError` with file and line for its faults."""
    try:
        return environment.get_template(name).render(values)
    except TemplateNotFound as error:
        raise InputError(f"there is no template {error.name}; restore it, or remove what includes it") from error
    except TemplateSyntaxError as error:
        raise InputError(f"template {error.name or name}, line {error.lineno}: {error.message}") from error
    except (TemplateError, AskedAboutSubscriber, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        raise InputError(f"template {_where(error, name)}: {error}") from error


def _where(error: Exception, name: str) -> str:
    """Return file and line of the template: Jinja puts them into the traceback."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith((".html", ".txt"))
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else name


def _refuse_none(value: object) -> object:
    """Refuse to print `None`: it stands for a value that the template expected."""
    if value is None:
        raise ValueError("it prints a value that is missing (None); test for it with {% if … %}")
    return value


def _urlencode(value: object) -> str:
    """Percent-encode for a URL; a subscriber's value becomes a place that does so later."""
    return value.url_component() if isinstance(value, Personal) else do_urlencode(value)  # type: ignore[arg-type]
