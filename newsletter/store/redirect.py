"""Addresses of an archive before this one: a request for one of them is answered with the address of its page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select

from newsletter.core.archive_page import PageId
from newsletter.store.schema import page, redirect
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert


def add(tx: Tx, old_paths: Iterable[str], page_id: PageId) -> None:
    """Let old addresses lead to a page; the last import of an address counts."""
    for path in dict.fromkeys(old_paths):
        if path:
            tx.execute(
                upsert(redirect, tx.dialect.name)
                .values(path=path, page_id=page_id)
                .on_conflict_do_update(index_elements=["path"], set_={"page_id": page_id})
            )


def find(tx: Tx, old_path: str) -> str | None:
    """Return the name of the page to which an old address leads; None for an unknown address."""
    query = select(page.c.slug).join(redirect, redirect.c.page_id == page.c.id).where(redirect.c.path == old_path)
    return tx.execute(query).scalar()


def all_redirects(tx: Tx) -> Sequence[tuple[str, str]]:
    """Return every old address with the name of its page, in alphabetical order."""
    query = select(redirect.c.path, page.c.slug).join(page, redirect.c.page_id == page.c.id)
    return [(row.path, row.slug) for row in tx.execute(query.order_by(redirect.c.path))]
