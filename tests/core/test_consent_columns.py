"""Columns about consent in exports of other services and in lists of one's own."""

from __future__ import annotations

import pytest

from newsletter.core.csv_import import ColumnChoices, read_headings, settle_layout, survey
from newsletter.core.csv_row import GoodRow, read_row
from newsletter.core.subscriber import SubscriberState
from newsletter.errors import InputError

LETTERS = {
    "a": SubscriberState.ACTIVE,
    "u": SubscriberState.UNSUBSCRIBED,
    "b": SubscriberState.BOUNCED,
    "c": SubscriberState.COMPLAINED,
    "p": SubscriberState.PENDING,
    "z": SubscriberState.PAUSED,
}


def states(
    headings: str,
    *rows: str,
    file_name: str = "people.csv",
    as_state: SubscriberState | None = None,
    choices: ColumnChoices | None = None,
) -> str:
    """Read a file with an address in front of each row, and return the state of each row as a letter."""
    cells = [(f"p{number}@example.org", *row.split(",")) for number, row in enumerate(rows)]
    layout = read_headings(("email", *headings.split(",")), file_name=file_name, choices=choices, as_state=as_state)
    seen = survey(layout)
    if seen is not None:
        for row in cells:
            seen.add(row)
    layout = settle_layout(layout, seen)
    read = [read_row(layout, 2, row, {}) for row in cells]
    assert all(isinstance(row, GoodRow) for row in read), read
    letters = {state: letter for letter, state in LETTERS.items()}
    return "".join(letters[row.state] for row in read if isinstance(row, GoodRow))


@pytest.mark.parametrize(
    ("headings", "rows", "expected"),
    [
        ("id,subscribed_to_emails,deleted_at", ["1,true,", "2,false,", "3,true,2024-01-02"], "auu"),
        (
            "type,creation_date,unsubscription_date",
            ["regular,x,", "unsubscribed,x,2024-05-01", "unactivated,x,"],
            "aup",
        ),
        ("uuid,status", ["1,enabled", "2,blocklisted", "3,disabled"], "auu"),
        ("Data,Status", ["{},active", "{},unsubscribed", "{},unreachable"], "aub"),
        ("UNSUB,BOUNCE,STATUS", ["no,no,subscribed", "yes,no,unsubscribed", "no,yes,cleaned"], "aub"),
        ("delivery_status", ["enabled", "by_bounces", "by_user"], "abz"),
        ("Global status,Subscription status", ["Subscribed,Subscribed", "Bounced,Subscribed", ",Unconfirmed"], "abp"),
        ("id,confirmed,blacklisted,bouncecount", ["1,1,0,9", "2,1,1,0", "3,0,0,0"], "aup"),
        ("active_subscription,email_disabled", ["false,false", "false,true"], "au"),
        ("status,subscription_tier,unsubscribed_at", ["active,free,", "inactive,free,2024-05-01", "pending,,"], "aup"),
        ("state,created_at", ["active,2024", "cancelled,2024", "complained,2024"], "auc"),
        ("Status,Last activity", ["Subscribed,x", "Marked as spam,x", "Bounced,x"], "acb"),
        ("Stop Time,Stop Status", [",", "2021-01-01,unsubscribed", "2021-01-01,undeliverable"], "aub"),
        ("EMAIL_BLACKLISTED,SMS_BLACKLISTED", ["No,Yes", "Yes,No"], "au"),
        ("emailBlacklisted", ["false", "true"], "au"),
        ("HasOptedOutOfEmail", ["0", "1"], "au"),
        ("Accepts Email Marketing", ["yes", "no"], "au"),
        ("Email Opt-In", ["1", "0"], "au"),
        ("unsubscribed_at,deleted_at", [",", "2024-01-02,", ",2024-01-02", "0000-00-00 00:00:00,NULL"], "auua"),
        ("confirmed_at", ["2024-01-02", ""], "ap"),
    ],
)
def test_exports_of_services(headings: str, rows: list[str], expected: str) -> None:
    """People who left, bounced, complained or never confirmed come in as that."""
    assert states(headings, *rows) == expected


@pytest.mark.parametrize(
    ("headings", "rows"),
    [
        ("Abgemeldet", ["nein", "ja"]),
        ("Status", ["abonniert", "abgemeldet"]),
        ("Désabonné", ["non", "oui"]),
        ("Statut", ["Abonné(e)", "Désabonné(e)"]),
        ("Suscrito", ["sí", "no"]),
        ("Estado", ["suscrito", "dado de baja"]),
        ("Uitgeschreven", ["nee", "ja"]),
        ("status", ["ingeschreven", "uitgeschreven"]),
        ("Iscritto", ["sì", "no"]),
        ("Stato", ["iscritto", "disiscritto"]),
        ("Situação", ["ativo", "descadastrado"]),
        ("Inscrito", ["sim", "não"]),
        ("newsletter_optout_flag", ["false", "TRUE"]),
        ("remarks", ["likes cats", "unsubscribed"]),
        ("tags", ["vip", "vip;unsubscribed"]),
        ("newsletter", ["y", "n"]),
    ],
)
def test_words_of_several_languages(headings: str, rows: list[str]) -> None:
    """Headings or values in seven languages are understood either way."""
    known = ColumnChoices(words={"likes cats": SubscriberState.ACTIVE})
    assert states(headings, *rows, choices=known) == "au"


@pytest.mark.parametrize(
    ("headings", "row", "value"),
    [
        ("status", "gold", "gold"),
        ("status", "1", "1"),
        ("Subscription status", "Soft bounced", "Soft bounced"),
        ("subscribed", "maybe", "maybe"),
        ("unsubscribed", "perhaps", "perhaps"),
        ("situation", "weg", "weg"),
    ],
)
def test_a_value_that_is_not_understood_stops_the_import(headings: str, row: str, value: str) -> None:
    """The question names the value and the options to type, each of which answers it."""
    rows = (row, "unsubscribed") if headings == "situation" else (row,)
    with pytest.raises(InputError, match="not understood; nothing was imported") as raised:
        states(headings, *rows)
    text = "\n".join(raised.value.details)
    assert f"`{headings}`: `{value}` in 1 row" in text
    heading = f"'state={headings}'" if " " in headings else f"state={headings}"
    word = f"'unsubscribed={value}'" if " " in value else f"unsubscribed={value}"
    assert f"--map {heading} --map {word}" in text
    left = ColumnChoices(state_headings=(headings,), words={value: SubscriberState.UNSUBSCRIBED})
    assert states(headings, *rows, choices=left)[0] == "u"
    assert states(headings, *rows, choices=ColumnChoices(field_headings=(headings,)))[0] == "a"
    assert states(headings, *rows, as_state=SubscriberState.BOUNCED)[0] == "b"
    assert states(headings, *rows, as_state=SubscriberState.ACTIVE)[0] == "a"


def test_an_empty_status_is_asked_about() -> None:
    """A row without a word in a status column is never taken for an active person by itself."""
    with pytest.raises(InputError) as raised:
        states("status", "subscribed", "")
    assert "`status`: `(empty)` in 1 row" in raised.value.details[0]
    assert states("status,city", ",Paris", ",Rome") == "aa"


@pytest.mark.parametrize(
    "name", ["unsubscribed.csv", "nonsubscribed_ab12.csv", "cleaned.csv", "bounces.csv", "Abgemeldet.csv"]
)
def test_a_file_name_that_speaks_of_leaving(name: str) -> None:
    """Without any column about consent, such a file is stopped with a question that `--as` answers."""
    with pytest.raises(InputError, match="--as unsubscribed"):
        states("city", "Paris", file_name=name)
    assert states("city", "Paris", file_name=name, as_state=SubscriberState.UNSUBSCRIBED) == "u"
    assert states("status", "subscribed", file_name=name) == "a"


def test_contacts_of_mailchimp_who_never_subscribed() -> None:
    """Under another name, the file of non-subscribed contacts is known by its missing opt-in."""
    headings = "OPTIN_TIME,CONFIRM_TIME,LEID,EUID"
    with pytest.raises(InputError, match="non-subscribed contacts"):
        states(headings, ",2021-03-16,1,abc")
    assert states(headings, "2021-03-16,2021-03-16,1,abc") == "a"
    assert states(headings, ",2021-03-16,1,abc", file_name="subscribed_members.csv") == "a"


@pytest.mark.parametrize("as_state", [None, *(state for state in SubscriberState if state != "pending")])
def test_no_option_makes_the_unconfirmed_active(as_state: SubscriberState | None) -> None:
    """A pending person stays pending beside `--as active`, and a stronger `--as` wins."""
    expected = SubscriberState.PENDING if as_state in {None, SubscriberState.ACTIVE} else as_state
    assert LETTERS[states("status", "unconfirmed", as_state=as_state)] is expected
