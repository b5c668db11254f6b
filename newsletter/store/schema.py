"""The tables. What they hold, what is unique, and what may never be deleted.

In: nothing. Out: `metadata`, from which a fresh database equals a migrated one (`tests/store/test_migrations.py`).
Rows are read and written by the module of their noun; nothing outside `store/` sees a table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    column,
    event,
    false,
    not_,
    text,
    true,
)

from newsletter.store import count_triggers, page_index

# Unnamed constraints cannot be dropped in a later SQLite migration, so each has a name from the first revision on.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

TALLIED = ("accepted", "deferred", "hard", "policy", "content", "refused", "uncertain")
"""What is counted of an edition as it goes, so that no view counts a million rows each second."""


class Utc(TypeDecorator[datetime]):
    """An instant: aware in Python, UTC in the database, on SQLite as text that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: it would silently be taken for UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"a naive time reached the store: {value!r}"
            raise TypeError(message)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite gives only an INTEGER primary key its fast row id; 32 bits are too few for the delivery rows of twenty years.
BigId = BigInteger().with_variant(Integer, "sqlite")


def _one_of(name: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{name} IN ({listed})", name=name)


def _partial_index(name: str, *columns: str, where: str | ColumnElement[bool], unique: bool = False) -> Index:
    """Return an index of the rows that fulfil `where`.

    The condition is given to the dialect when the tables are created: `Index(postgresql_where=…)` imports the module of
    PostgreSQL, with asyncio, in every command of an installation on SQLite.
    """
    return Index(name, *columns, unique=unique, info={"where": text(where) if isinstance(where, str) else where})


USED_ONCE = {"ids_used_once": True}
"""Marks a table whose ids are never used again. SQLite is told when the tables are created: `sqlite_autoincrement=True`
imports the module of SQLite in every command of an installation on PostgreSQL."""


@event.listens_for(metadata, "before_create")
def _complete_options(_target: MetaData, connection: Connection, **_options: object) -> None:
    dialect = connection.dialect.name
    for table in metadata.tables.values():
        for index in (item for item in table.indexes if "where" in item.info):
            index.dialect_options[dialect]["where"] = index.info["where"]
        if dialect == "sqlite" and "ids_used_once" in table.info:
            table.dialect_options[dialect]["autoincrement"] = True
        if dialect == "postgresql" and "fillfactor" in table.info:
            table.dialect_options[dialect]["with"] = {"fillfactor": table.info["fillfactor"]}


def _json(name: str, default: str) -> Column[Any]:
    return Column(name, JSON, nullable=False, server_default=text(f"'{default}'"))


installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("created_at", Utc, nullable=False),
    Column("first_tick_at", Utc),  # No slot before it is ever due: a first start sends no mail by surprise.
    Column("cadence", Text),  # As text, so that a changed day, time or zone is noticed.
    Column("cadence_since", Utc),
    Column("key_fingerprint", Text, nullable=False),
    Column("identity", Text, nullable=False, server_default=""),  # Which database a line of the ledger is about.
    Column("ledger_seq", Integer, nullable=False, server_default="0"),  # The last line this database knows of.
    Column("machine", Text),  # Where it was used last; a database that wakes elsewhere waits for `db adopt`.
    CheckConstraint("id = 1", name="single"),
    # Made by `db copy`, or being restored: it sends nothing until `db adopt`.
    Column("copied", Boolean, nullable=False, server_default=false()),
    Column("held_last_used_at", Utc),  # When a database that is held was last in use before it woke.
    Column("claim_count", Integer, nullable=False, server_default="0"),  # Transactions that claimed mail, on SQLite.
    # Raised by each change of a public page: a list that bears the same number is the same list.
    Column("archive_version", Integer, nullable=False, server_default="0"),
)

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("email", Text, nullable=False),
    # By code points on PostgreSQL too, so that its unique index serves the beginning of an address.
    Column("canonical", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("first_name", Text, nullable=False, server_default=""),
    Column("last_name", Text, nullable=False, server_default=""),
    Column("time_zone", Text, nullable=False, server_default=""),
    _json("tags", "[]"),
    _json("fields", "{}"),
    Column("state", Text, nullable=False),
    Column("state_since", Utc, nullable=False),
    Column("state_why", Text, nullable=False, server_default=""),
    Column("created_at", Utc, nullable=False),
    # The names come from an import and were not edited since: a corrected file may replace them.
    Column("names_imported", Boolean, nullable=False, server_default=false()),
    Column("paused_until", Utc),  # When a pause ends by itself; NULL for one that a person ends.
    UniqueConstraint("canonical"),
    _partial_index("ix_subscriber_paused_until", "paused_until", where="paused_until IS NOT NULL"),
    Index("ix_subscriber_state", "state"),
    # The first active person of each zone, without reading the others.
    _partial_index("ix_subscriber_zone", "time_zone", "state_since", where="state = 'active'"),
    _one_of("state", "pending", "active", "paused", "unsubscribed", "bounced", "complained"),
    info=USED_ONCE,  # An id is never used again: old opt-out links bear it.
)

subscriber_count = Table(
    "subscriber_count",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("state", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("people", BigInteger, nullable=False),  # The sum over the rows of a state and zone counts.
    Index(None, "state", "time_zone"),
    info={"derived": True},  # The triggers of `subscriber` fill it: it is not copied row by row.
)


@event.listens_for(metadata, "after_create")
def _create_triggers(_metadata: MetaData, connection: Connection, **_options: object) -> None:
    sqlite = connection.dialect.name == "sqlite"
    count_statements = count_triggers.SQLITE if sqlite else count_triggers.POSTGRESQL
    for statement in (*count_statements, *(page_index.SQLITE_INDEX if sqlite else page_index.POSTGRESQL_INDEX)):
        connection.exec_driver_sql(statement)


_COUNTED_CONSENT = "action <> 'imported'"

consent = Table(
    "consent",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("subscriber_id", BigId, ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("at", Utc, nullable=False),
    Column("action", Text, nullable=False),
    Column("channel", Text, nullable=False),  # import, command line, one-click, page …
    Column("source", Text, nullable=False, server_default=""),
    Column("edition_id", Integer),  # The mailing whose link was used, when one was.
    _json("evidence", "{}"),
    # Who came and left lately; an import of a million people adds nothing to it.
    _partial_index("ix_consent_counted", "at", "action", where=_COUNTED_CONSENT),
)

COUNTED_CONSENT = text(_COUNTED_CONSENT)
"""The condition of its partial index, as a query must have it."""

suppression = Table(
    "suppression",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

tip = Table(
    "tip",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("slug", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("preheader", Text, nullable=False, server_default=""),
    Column("author", Text, nullable=False, server_default=""),
    _json("tags", "[]"),
    Column("evergreen", Boolean, nullable=False),
    Column("season", Text),
    Column("pin", Date),
    Column("series", Text),
    Column("part", Integer),
    Column("first_published", Date),
    Column("status", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("changed_at", Utc, nullable=False),
    # Derived from first_published and the editions, by which evergreens are ordered: `store/tip.py` keeps it true.
    Column("last_sent_on", Date),
    Column("listed", Boolean, nullable=False, server_default=true()),  # False: its page is found by its address alone.
    UniqueConstraint("slug"),
    UniqueConstraint("pin"),  # One pin per date.
    Index("ix_tip_position", "position"),
    # The archive of sent tips grows for ever; what can still go out is found without it.
    _partial_index("ix_tip_approved", "evergreen", "last_sent_on", "position", "pin", where="status = 'approved'"),
    _partial_index("ix_tip_draft", "id", where="status = 'draft'"),
    _partial_index("ix_tip_series", "series", "part", where="series IS NOT NULL"),
    _one_of("status", "draft", "approved", "sent", "retired"),
)

slot = Table(
    "slot",
    metadata,
    Column("date", Date, primary_key=True),
    Column("sends_at", Utc, nullable=False),
    Column("extra", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("changed_at", Utc, nullable=False),
    # When its time came and there was nothing to send: once its grace is over it is empty, not missed.
    Column("empty_since", Utc),
    _one_of("state", "open", "frozen", "skipped", "empty", "missed"),
)

edition = Table(
    "edition",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("date", Date, ForeignKey("slot.date"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("tip_id", Integer, ForeignKey("tip.id"), nullable=False, index=True),
    Column("tip_slug", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_why", Text, nullable=False, server_default=""),
    Column("audience", Integer, nullable=False),
    Column(
        "content", Text, nullable=False
    ),  # The compiled message, with its format version: nothing is rendered again.
    Column("nonce", Text, nullable=False),
    Column("sends_at", Utc, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("finished_at", Utc),
    # False after a cancelled edition of which nothing was handed to a server: its tip goes back to the queue.
    Column("tip_used", Boolean, nullable=False),
    Column("totals", JSON),  # Stored when it closes, so that purging rows after years cannot unbalance it.
    Column("kind", Text, nullable=False, server_default="regular"),  # Or a replacement or correction of another one.
    Column("of_edition", Integer),
    Column("borne", JSON),  # What was counted when a person last resumed it: only what comes after pauses it again.
    Column("local", Boolean, nullable=False, server_default=false()),  # Sent in waves, by each reader's own clock.
    Column("tried_at", Utc),  # When everybody had had a first try; `finished_at` may be days later.
    Column("archived", Boolean, nullable=False, server_default=false()),  # The archive shows what is to be shown of it.
    UniqueConstraint("date", "number"),  # One edition per slot: the database decides, not the scheduler.
    # The content of an edition is tens of kilobytes: neither of these questions may read past it in a thousand rows.
    _partial_index("ix_edition_sent", "tip_id", "date", where=and_(column("tip_used", Boolean))),
    _partial_index("ix_edition_open", "id", where="finished_at IS NULL"),
    Index("ix_edition_started_at", "started_at", "id"),
    _partial_index("ix_edition_unarchived", "id", where=not_(column("archived", Boolean))),
    _one_of("status", "sending", "paused", "finished", "cancelled"),
    info=USED_ONCE,
)

block = Table(
    "block",
    metadata,
    Column("edition_id", Integer, ForeignKey("edition.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("owner", Integer),  # The worker that reserved it; its lease only reserves, rows decide.
    Column("lease_until", Utc),
    Column("not_before", Utc),  # A later wave, or a quota: nothing of it goes out earlier.
    Column("wave", Text, nullable=False, server_default=""),
    # Reserved, or made of what somebody had reserved, and not yet closed: only in such a one is any delivery marked.
    Column("begun", Boolean, nullable=False, server_default=false()),
    _one_of("state", "open", "closed"),
    _partial_index("ix_block_begun", "edition_id", "number", where=and_(column("begun", Boolean))),
)

worker = Table(
    "worker",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),  # Host and process, for people.
    Column("machine", Text, nullable=False),  # Only there its journal can be found.
    Column("started_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("ended_at", Utc),
    _json("report", "{}"),  # What it is at: connections, relays, rate.
    info=USED_ONCE,  # Journals bear the id.
)

TALLY_SOURCES = ("worker", "recovery", "bounce")

tally = Table(
    "tally",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("edition_id", Integer, ForeignKey("edition.id"), nullable=False),
    Column("source", Text, nullable=False),  # A worker, the recovery of lost claims, or bounces that came by mail.
    Column("worker_id", Integer),  # NULL unless a worker counted.
    *(Column(name, Integer, nullable=False, server_default="0") for name in TALLIED),
    Column("since", Utc, nullable=False),
    Column("at", Utc, nullable=False),
    _one_of("source", *TALLY_SOURCES),
    CheckConstraint("(source = 'worker') = (worker_id IS NOT NULL)", name="worker"),
    _partial_index("uq_tally_worker", "edition_id", "worker_id", unique=True, where="worker_id IS NOT NULL"),
    _partial_index("uq_tally_source", "edition_id", "source", unique=True, where="worker_id IS NULL"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("edition_id", Integer, ForeignKey("edition.id"), nullable=False),
    # No foreign key: an erased person's row stays, blanked to NULL, and the books still balance.
    Column("subscriber_id", BigId),
    Column("block", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("first_attempt_at", Utc),
    Column("last_attempt_at", Utc),
    Column("next_attempt_at", Utc),
    Column("reply_code", Integer),
    Column("reply_enhanced", Text, nullable=False, server_default=""),
    Column("reply_text", Text, nullable=False, server_default=""),
    Column("kind", Text, nullable=False, server_default=""),  # The class of the reply that decided.
    Column("worker", Integer),  # Who marked it: the journal of that worker tells what became of it.
    Column("later", Text, nullable=False, server_default=""),  # What came to light after the server took it.
    Column("later_at", Utc),
    Column("later_text", Text, nullable=False, server_default=""),
    UniqueConstraint("edition_id", "subscriber_id"),  # One delivery per person and edition.
    Index(None, "edition_id", "block"),
    # Small partial indexes: they stay empty for the millions of rows that went well. None of them asks for the state,
    # which changes twice in every row: on PostgreSQL such an index makes each change one of all indexes of the table
    # (heap-only tuples, PostgreSQL's documentation, "Database Physical Storage"), for which the pages have room.
    _partial_index("ix_delivery_deferred", "edition_id", "next_attempt_at", where="next_attempt_at IS NOT NULL"),
    _partial_index("ix_delivery_later", "edition_id", "later", where="later <> ''"),
    _one_of("state", "queued", "sending", "deferred", "accepted", "rejected", "uncertain", "expired", "skipped"),
    # Message-IDs and bounce addresses bear the id. Per cent of a page that are filled first: the rest is for the same
    # rows as they change.
    info={**USED_ONCE, "fillfactor": 45},
)

quota = Table(
    "quota",
    metadata,
    Column("name", Text, primary_key=True),
    Column("window", Text, nullable=False),  # What was reserved of the hour and the day, as `core/pace.py` writes it.
)

pace = Table(
    "pace",
    metadata,
    Column("name", Text, primary_key=True),
    Column("free_at", Double, nullable=False),  # Unix time of the next free moment of the rate that all workers share.
)

bounce_window = Table(
    "bounce_window",
    metadata,
    Column("edition_id", Integer, ForeignKey("edition.id"), primary_key=True, autoincrement=False),
    _json("counts", "{}"),  # Recent bounces by minute, as `core/evidence.py` counts them.
)

webhook_event = Table(
    "webhook_event",
    metadata,
    Column("hash", Text, primary_key=True),  # Of the provider and its own id of the event: what comes again is known.
    Column("at", Utc, nullable=False, index=True),
)

webhook_count = Table(
    "webhook_count",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # In the words of the provider.
    Column("events", BigInteger, nullable=False),
    Column("last_at", Utc, nullable=False),
)

mailbox_mail = Table(
    "mailbox_mail",
    metadata,
    Column("mailbox", Text, primary_key=True),
    Column("validity", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("verdict", Text, nullable=False),
    Column("at", Utc, nullable=False, index=True),
    _one_of("verdict", "read", "unknown"),
)

alert = Table(
    "alert",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("raised_at", Utc, nullable=False),
    Column("cleared_at", Utc),
    Column("command_at", Utc),  # When the operator's command was run for it.
    Column("closed_at", Utc),  # When all was said about it, that it has passed too.
    # Repeated trouble is one alert, until it was told that it has passed.
    _partial_index("uq_alert_open", "kind", "about", unique=True, where="closed_at IS NULL"),
)

_NOTICE_OPEN = "state IN ('queued', 'sending', 'deferred')"

notice = Table(
    "notice",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("variant", Text, nullable=False, server_default=""),
    Column("recipient", Text, nullable=False),
    Column("message", Text, nullable=False),  # The whole message, ASCII with CRLF: nothing is rendered again.
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("created_at", Utc, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("first_attempt_at", Utc),
    Column("last_attempt_at", Utc),
    Column("next_attempt_at", Utc),
    Column("reply_code", Integer),
    Column("reply_enhanced", Text, nullable=False, server_default=""),
    Column("reply_text", Text, nullable=False, server_default=""),
    UniqueConstraint("kind", "about", "variant", "recipient"),  # Two processes that write it write it once.
    _partial_index("ix_notice_open", "next_attempt_at", where=_NOTICE_OPEN),
    _one_of("state", "queued", "sending", "deferred", "accepted", "rejected", "expired", "withdrawn"),
)

signup = Table(
    "signup",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("email", Text, nullable=False),
    Column("canonical", Text, nullable=False, index=True),
    Column("first_name", Text, nullable=False, server_default=""),
    Column("time_zone", Text, nullable=False, server_default=""),
    Column("wording", Text, nullable=False),  # The hash of the sentence that the person agreed to.
    Column("network", Text, nullable=False),
    Column("browser_hash", Text, nullable=False, index=True),  # Of the cookie that the asking browser got.
    Column("origin", Text, nullable=False),
    Column("suspect", Text, nullable=False, server_default=""),
    Column("asked_at", Utc, nullable=False, index=True),
    Column("due_at", Utc, nullable=False),  # Later than `asked_at` while too many mails go out.
    Column("decided_at", Utc),
    Column("mail", Text, nullable=False, server_default=""),
    Column("why", Text, nullable=False, server_default=""),
    Column("code_tries", Integer, nullable=False, server_default="0"),
    Column("confirmed_at", Utc),
    Column("welcomed_at", Utc),
    Column("again_at", Utc),  # When the browser that asked wanted the mail once more; later while too many go out.
    Column("again_decided_at", Utc),
    _partial_index("ix_signup_undecided", "due_at", where="decided_at IS NULL"),
    _partial_index("ix_signup_again", "again_at", where="again_at IS NOT NULL AND again_decided_at IS NULL"),
    _partial_index("ix_signup_unwelcomed", "id", where="confirmed_at IS NOT NULL AND welcomed_at IS NULL"),
    _one_of("mail", "", "confirm", "already", "none"),
    info=USED_ONCE,  # Links of confirmations bear the id.
)

link_request = Table(
    "link_request",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("subscriber_id", BigId, nullable=False, index=True),
    Column("asked_at", Utc, nullable=False, index=True),
    Column("decided_at", Utc),
    _partial_index("ix_link_request_undecided", "id", where="decided_at IS NULL"),
    info=USED_ONCE,  # The notice about it bears the id.
)

address_change = Table(
    "address_change",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("subscriber_id", BigId, nullable=False, index=True),
    Column("old_email", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("canonical", Text, nullable=False, index=True),
    Column("network", Text, nullable=False),
    Column("browser_hash", Text, nullable=False),  # Of the cookie that the asking browser got.
    Column("asked_at", Utc, nullable=False, index=True),
    Column("due_at", Utc, nullable=False),  # Later than `asked_at` while too many mails go out.
    Column("decided_at", Utc),
    Column("why", Text, nullable=False, server_default=""),
    Column("confirmed_at", Utc),
    Column("told_at", Utc),  # When the mail to the old address was written.
    _partial_index("ix_address_change_undecided", "due_at", where="decided_at IS NULL"),
    _partial_index("ix_address_change_untold", "id", where="confirmed_at IS NOT NULL AND told_at IS NULL"),
    info=USED_ONCE,  # Links of confirmations bear the id.
)

backlog = Table(
    "backlog",
    metadata,
    Column("subscriber_id", BigId, primary_key=True, autoincrement=False),
    Column("since", Utc, nullable=False),  # Editions after it were missed.
    Column("resumed_at", Utc),  # NULL while the pause lasts.
    Column("next_at", Utc),
    _partial_index("ix_backlog_next_at", "next_at", where="next_at IS NOT NULL"),
)

wording = Table(
    "wording",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("first_used_at", Utc, nullable=False),
)

rate_limit = Table(
    "rate_limit",
    metadata,
    Column("hash", Text, primary_key=True),  # Keyed: neither an address nor a network can be read from it.
    _json("events", "[]"),  # As `core/rate_limit.py` counts them.
    Column("expires_at", Utc, nullable=False, index=True),
)

sign_in = Table(
    "sign_in",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("email", Text, nullable=False),  # Canonical, of anybody: whether it may sign in is decided later.
    Column("origin", Text, nullable=False),
    Column("browser_hash", Text, nullable=False, index=True),  # Of the cookie of the asking browser; empty: terminal.
    Column("browser", Text, nullable=False),
    Column("network", Text, nullable=False),
    Column("back", Text, nullable=False, server_default=""),
    Column("asked_at", Utc, nullable=False, index=True),
    Column("decided_at", Utc),
    Column("mailed", Boolean, nullable=False, server_default=false()),
    Column("code_tries", Integer, nullable=False, server_default="0"),
    Column("used_at", Utc),
    _partial_index("ix_sign_in_undecided", "id", where="decided_at IS NULL"),
    _one_of("origin", "page", "terminal"),
    info=USED_ONCE,  # Links of sign-ins bear the id.
)

session = Table(
    "session",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the cookie, which stands nowhere.
    Column("email", Text, nullable=False, index=True),
    Column("method", Text, nullable=False),
    Column("browser", Text, nullable=False),
    Column("browser_hash", Text, nullable=False),  # Of a cookie that outlives the session: the browser is known.
    Column("network", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False, index=True),
    Column("confirmed_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("announced_at", Utc),  # When a mail told of a new browser, or there was none to tell of.
    _json("flash", "{}"),
    _partial_index("ix_session_unannounced", "id", where="announced_at IS NULL"),
    _one_of("method", "link", "code", "terminal"),
    info=USED_ONCE,
)

log = Table(
    "log",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("at", Utc, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("why", Text, nullable=False, server_default=""),
)

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("process", Text, nullable=False),
    Column("stopped_at", Utc),  # When it was stopped on purpose: no sign of life is expected after it.
    _one_of("name", "scheduler", "sender"),
)

job_run = Table(
    "job_run",
    metadata,
    Column("name", Text, primary_key=True),
    Column("ended_at", Utc),  # The end of the last complete run; NULL before the first.
    Column("clock_doubted_at", Utc),  # When the job first put off a run because the clock may be wrong.
    Column("process", Text, nullable=False),
    _one_of("name", "retention"),
)

page = Table(
    "page",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("tip_id", Integer, ForeignKey("tip.id", ondelete="SET NULL")),  # NULL for a page of an import.
    Column("edition_id", Integer, ForeignKey("edition.id")),  # The newest edition whose text it shows.
    Column("slug", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("excerpt", Text, nullable=False),
    Column("reading_minutes", Integer, nullable=False),
    Column("author", Text, nullable=False, server_default=""),
    Column("language", Text, nullable=False),
    _json("topics", "[]"),  # As a page shows them; `page_topic` has those of listed pages for the lists.
    Column("series", Text),
    Column("part", Integer),
    Column("published_on", Date, nullable=False),
    Column("sent_on", Date, nullable=False),  # When it went out last: an evergreen goes out more than once.
    Column("corrected_on", Date),
    Column("listed", Boolean, nullable=False),  # In lists, feeds and search; else found by its address alone.
    Column("changed_at", Utc, nullable=False),
    UniqueConstraint("tip_id"),
    UniqueConstraint("slug"),
    _partial_index("ix_page_published_on", "published_on", "id", where=and_(column("listed", Boolean))),
    _partial_index("ix_page_sent_on", "sent_on", "published_on", "id", where=and_(column("listed", Boolean))),
    _partial_index("ix_page_series", "series", "part", where="series IS NOT NULL"),
)

page_topic = Table(
    "page_topic",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("published_on", Date, primary_key=True),
    Column("page_id", Integer, ForeignKey("page.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    _one_of("kind", "tag", "category"),
)

redirect = Table(
    "redirect",
    metadata,
    Column(
        "path", Text, primary_key=True
    ),  # An address of an archive before this one, as `core/old_path.py` writes it.
    Column("page_id", Integer, ForeignKey("page.id", ondelete="CASCADE"), nullable=False, index=True),
)
