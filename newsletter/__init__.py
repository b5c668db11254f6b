"""One tip a week, to every subscriber, every Tuesday, and a report that adds up.

The path of one mail, station by station (`docs/how-it-works.md` walks it with function names):

    subscriber    who reads              core/subscriber.py   flows/import_subscribers.py   store/subscriber.py
    tip           what is sent           core/tip.py          flows/queue_tip.py            store/tip.py
    slot          when it is sent        core/cadence.py      core/due.py                   store/slot.py
    lineup        which tip, and why     core/lineup.py       core/forecast.py              flows/plan.py
    tick          it is time             schedule/scheduler.py  operations/ticker.py
    edition       frozen: tip + people   flows/freeze.py      core/edition.py               store/edition.py
    message       rendered once          render/edition.py    render/mime.py                core/message.py
    delivery      one person, one try    sending/committer.py   sending/connection_worker.py  store/delivery.py
    wire          the mail server        transport/base.py    transport/smtp.py
    reply         what its answer means  core/reply.py        core/delivery.py
    receipt       the report adds up     core/receipt.py      sending/housekeeping.py               store/report.py
    opt-out       one click, at once     web/one_click.py     flows/opt_out.py              core/token.py

Imports go down only: `cli/` and `web/`, then wiring.py, which builds everything, then `sending/` and `operations/`,
then `journal/` and `flows/`, then `store/`, `render/`, `transport/`, `schedule/`, then `core/`, which is pure.
"""

__version__ = "0.1.0"
