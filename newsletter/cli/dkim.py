"""`newsletter dkim`: make a key for signing, and say what is to be published of it. A private key is never printed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.context import State, state
from newsletter.cli.output import Json, print_json, say
from newsletter.errors import InputError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from newsletter.render.dkim import SigningKey

app = typer.Typer(
    help="DKIM signing: make keys, print their DNS records.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Bits(StrEnum):
    """Sizes of an RSA key; more than 2048 makes signing slow and the record long."""

    B2048 = "2048"
    B3072 = "3072"
    B4096 = "4096"


@app.command()
def keygen(
    context: typer.Context,
    *,
    selector: Annotated[
        str, typer.Option("--selector", metavar="NAME", help="The name of the record; by default from the month.")
    ] = "",
    domain: Annotated[
        str, typer.Option("--domain", metavar="DOMAIN", help="The domain that signs; by default as in the settings.")
    ] = "",
    bits: Annotated[Bits, typer.Option("--bits", help="The size of an RSA key.")] = Bits.B2048,
    ed25519: Annotated[bool, typer.Option("--ed25519", help="Make an Ed25519 key, for a second signature.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to; by default the folder of the .env.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key; print its DNS record and settings.

    Only you can read the key. Nothing is overwritten.
    """
    from pydantic import TypeAdapter

    from newsletter.render import dkim_key
    from newsletter.render.dkim import SigningKey
    from newsletter.settings.values import MailDomain, Selector

    invocation = state(context)
    name = _checked(TypeAdapter(Selector), "--selector", selector or _by_month(invocation.clock.now(), ed25519=ed25519))
    signs = _checked(TypeAdapter(MailDomain), "--domain", domain) if domain else _domain(invocation)
    path = out.absolute() if out else invocation.home / f"dkim-{name}.pem"
    key = dkim_key.make_ed25519() if ed25519 else dkim_key.make_rsa(int(bits.value))
    dkim_key.write_key(key, path)
    shown = str(path.relative_to(invocation.home)) if path.is_relative_to(invocation.home) else str(path)
    seal = SigningKey(domain=signs, selector=name, key=key)
    settings = _settings(invocation, seal, shown, domain=domain and signs)
    if as_json:
        print_json(_as_data(seal) | {"file": str(path), "settings": settings})
        return
    say(f"Made a key ({key.plain}): {path}. Only you can read it.")
    say()
    _say_record(seal)
    say()
    say("Once it is published, set:")
    say()
    for setting, value in settings.items():
        say(f"  {setting}={value}")


@app.command()
def record(context: typer.Context, *, as_json: Json = False) -> None:
    """Print the DNS records of the keys that sign the mails."""
    signer = state(context).app.signer
    if signer is None:
        raise InputError("The mails are not signed here; `newsletter dkim keygen` makes a key.")
    if as_json:
        print_json([_as_data(seal) for seal in signer.seals])
        return
    for number, seal in enumerate(signer.seals):
        if number:
            say()
        _say_record(seal)


def _say_record(seal: SigningKey) -> None:
    from newsletter.render.dkim_key import strings

    text = seal.key.record()
    say("Publish this TXT record:")
    say()
    say(f"  name   {seal.name}")
    say(f"  value  {text}")
    say()
    say("The same for a zone file, in strings of at most 255 bytes:")
    say()
    say(f"  {seal.name}. IN TXT (")
    for part in strings(text):
        say(f'    "{part}"')
    say("  )")


def _as_data(seal: SigningKey) -> dict[str, object]:
    from newsletter.render.dkim_key import strings

    text = seal.key.record()
    return {"algorithm": seal.key.algorithm, "name": seal.name, "value": text, "strings": strings(text)}


def _settings(invocation: State, seal: SigningKey, path: str, *, domain: str) -> dict[str, str]:
    """Return what is to be set, leaving out what is set already."""
    kind = "DKIM_ED25519" if seal.key.algorithm == "ed25519-sha256" else "DKIM"
    values = {f"NEWSLETTER_{kind}_SELECTOR": seal.selector, f"NEWSLETTER_{kind}_KEY_FILE": path}
    if domain and domain != _domain_set(invocation):
        return {"NEWSLETTER_DKIM_DOMAIN": domain} | values
    return values


def _domain_set(invocation: State) -> str:
    try:
        return _domain(invocation)
    except InputError:
        return ""


def _domain(invocation: State) -> str:
    settings = invocation.settings
    return settings.dkim_domain or settings.from_email.rpartition("@")[2]


def _by_month(now: datetime, *, ed25519: bool) -> str:
    return f"{'e' if ed25519 else 's'}{now:%Y%m}"


def _checked(kind: TypeAdapter[str], option: str, text: str) -> str:
    """Judge a value as the setting of its kind would be judged."""
    from pydantic import ValidationError

    try:
        return kind.validate_python(text)
    except ValidationError as error:
        raise InputError(f"{option}: {error.errors()[0]['ctx']['error']}") from error
