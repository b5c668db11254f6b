"""The words of a mail that no author writes: footer, date, part of a series; in one place for all languages.

In: a language tag. Out: the words, those of English for a language that is not here. To add a language, add an entry;
`tests/core/test_mail_words.py` checks that it is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - a method has an argument `date`.

from newsletter.wording import MONTHS


@dataclass(frozen=True, slots=True, kw_only=True)
class MailWords:
    """The words of one language; what stands in braces is filled in."""

    reason: str
    """Why the reader gets the mail; `{email}` is the address."""
    unsubscribe: str
    settings: str
    view_in_browser: str
    earlier_tips: str
    resources: str
    contact: str
    home: str
    forwarded: str
    subscribe: str
    part: str
    """`{part}` and `{parts}` are numbers."""
    earlier_parts: str
    months: str
    date: str = "{day} {month} {year}"
    first_day: str = "1"
    """How the first day of a month is written."""

    def date_words(self, date: Date) -> str:
        """Return a date as the language writes it."""
        day = self.first_day if date.day == 1 else str(date.day)
        return self.date.format(day=day, month=self.months.split()[date.month - 1], year=date.year)


_ENGLISH_MONTHS = " ".join(MONTHS)
_ENGLISH = MailWords(
    reason="Sent to {email}, because you subscribed.",
    unsubscribe="Unsubscribe",
    settings="Your settings",
    view_in_browser="View in browser",
    earlier_tips="Earlier tips",
    resources="Resources",
    contact="Contact",
    home="Home page",
    forwarded="Was this forwarded to you?",
    subscribe="Subscribe",
    part="Part {part} of {parts}",
    earlier_parts="Earlier in this series",
    months=_ENGLISH_MONTHS,
)
_BY_LANGUAGE = {
    "en": _ENGLISH,
    "de": MailWords(
        reason="Gesendet an {email}, weil Sie sich angemeldet haben.",
        unsubscribe="Abmelden",
        settings="Ihre Einstellungen",
        view_in_browser="Im Browser ansehen",
        earlier_tips="Frühere Tipps",
        resources="Weiterführendes",
        contact="Kontakt",
        home="Startseite",
        forwarded="Wurde Ihnen dieser Tipp weitergeleitet?",
        subscribe="Anmelden",
        part="Teil {part} von {parts}",
        earlier_parts="Bisher in dieser Reihe",
        months="Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        date="{day}. {month} {year}",
    ),
    "fr": MailWords(
        reason="Envoyé à {email} à la suite de votre inscription.",
        unsubscribe="Se désabonner",
        settings="Vos réglages",
        view_in_browser="Voir dans le navigateur",
        earlier_tips="Conseils précédents",
        resources="Ressources",
        contact="Contact",
        home="Page d\N{RIGHT SINGLE QUOTATION MARK}accueil",
        forwarded="Ce message vous a été transféré\N{NO-BREAK SPACE}?",
        subscribe="S\N{RIGHT SINGLE QUOTATION MARK}abonner",
        part="Partie {part} sur {parts}",
        earlier_parts="Déjà parus dans cette série",
        months="janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        first_day="1er",
    ),
    "es": MailWords(
        reason="Enviado a {email} porque se suscribió.",
        unsubscribe="Darse de baja",
        settings="Sus ajustes",
        view_in_browser="Ver en el navegador",
        earlier_tips="Consejos anteriores",
        resources="Recursos",
        contact="Contacto",
        home="Página de inicio",
        forwarded="¿Le han reenviado este mensaje?",
        subscribe="Suscribirse",
        part="Parte {part} de {parts}",
        earlier_parts="Antes en esta serie",
        months="enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        date="{day} de {month} de {year}",
    ),
    "nl": MailWords(
        reason="Verzonden aan {email}, omdat u zich hebt aangemeld.",
        unsubscribe="Afmelden",
        settings="Uw instellingen",
        view_in_browser="In de browser bekijken",
        earlier_tips="Eerdere tips",
        resources="Meer lezen",
        contact="Contact",
        home="Startpagina",
        forwarded="Is deze tip aan u doorgestuurd?",
        subscribe="Aanmelden",
        part="Deel {part} van {parts}",
        earlier_parts="Eerder in deze reeks",
        months="januari februari maart april mei juni juli augustus september oktober november december",
    ),
    "it": MailWords(
        reason="Inviato a {email} in seguito alla sua iscrizione.",
        unsubscribe="Annulla l\N{RIGHT SINGLE QUOTATION MARK}iscrizione",
        settings="Le sue impostazioni",
        view_in_browser="Visualizza nel browser",
        earlier_tips="Consigli precedenti",
        resources="Risorse",
        contact="Contatti",
        home="Pagina iniziale",
        forwarded="Ha ricevuto questo messaggio inoltrato?",
        subscribe="Iscriviti",
        part="Parte {part} di {parts}",
        earlier_parts="Già usciti in questa serie",
        months="gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        first_day="1º",
    ),
    "pt": MailWords(
        reason="Enviado para {email} porque se inscreveu.",
        unsubscribe="Cancelar a inscrição",
        settings="As suas definições",
        view_in_browser="Ver no navegador",
        earlier_tips="Dicas anteriores",
        resources="Recursos",
        contact="Contato",
        home="Página inicial",
        forwarded="Esta mensagem foi encaminhada para si?",
        subscribe="Inscrever-se",
        part="Parte {part} de {parts}",
        earlier_parts="Antes nesta série",
        months="janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        date="{day} de {month} de {year}",
    ),
}
_AMERICAN_TAGS = {"en", "en-us"}
LANGUAGES = tuple(_BY_LANGUAGE)


def mail_words(language: str) -> MailWords:
    """Return the words for a language tag such as `en`, `en-GB` or `pt-BR`."""
    return _BY_LANGUAGE.get(language.lower().split("-")[0], _ENGLISH)


def date_words(date: Date, language: str) -> str:
    """Return the date in the words of the language, or in digits where its words are not known."""
    tag = language.lower()
    if tag in _AMERICAN_TAGS:
        return f"{_ENGLISH_MONTHS.split()[date.month - 1]} {date.day}, {date.year}"
    if tag.split("-")[0] not in _BY_LANGUAGE:
        return date.isoformat()
    return mail_words(language).date_words(date)
