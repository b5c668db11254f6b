"""What a DKIM signature costs: processor time a message, and messages a second over one thread and two.

`python benchmarks/signing.py` signs a message of the usual size with RSA-2048, with Ed25519 and with both, and, for
comparison, with dkimpy, which computes RSA in Python.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dkim
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from newsletter.render.dkim import Signer, SigningKey
from newsletter.render.dkim_key import make_ed25519, make_rsa

SIZE = 45_000
SECONDS = 2.0
RUNS = 3


def message() -> bytes:
    """Return the stored sample of an edition, its body repeated up to the size of a long tip."""
    sample = Path(__file__).parents[1] / "tests" / "render" / "samples" / "message.eml"
    head, empty_line, body = sample.read_bytes().partition(b"\r\n\r\n")
    return head + empty_line + body * (SIZE // len(body))


def cost(sign: Callable[[], object]) -> float:
    """Return the milliseconds of processor time that one takes, which other programs hardly change."""
    count = 0
    start = time.process_time()
    while time.process_time() - start < SECONDS:
        sign()
        count += 1
    return 1000 * (time.process_time() - start) / count


def rate(sign: Callable[[], object], threads: int) -> float:
    """Return how many times a second so many threads do it, the best of some runs."""
    return max(_run(sign, threads) for _ in range(RUNS))


def _run(sign: Callable[[], object], threads: int) -> float:
    counts = [0] * threads
    end = time.perf_counter() + SECONDS

    def work(number: int) -> None:
        while time.perf_counter() < end:
            sign()
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    raw = message()
    rsa_key = make_rsa()
    rsa = SigningKey(domain="news.example.com", selector="s1", key=rsa_key)
    ed25519 = SigningKey(domain="news.example.com", selector="e1", key=make_ed25519())
    pem = rsa_key.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    ways: dict[str, Callable[[], object]] = {
        "RSA-2048": lambda: Signer([rsa], now=lambda: datetime.now(UTC))(raw),
        "Ed25519": lambda: Signer([ed25519], now=lambda: datetime.now(UTC))(raw),
        "both": lambda: Signer([rsa, ed25519], now=lambda: datetime.now(UTC))(raw),
        "RSA alone, no message": lambda: rsa.key.sign(bytes(32)),
        "dkimpy, RSA-2048": lambda: dkim.sign(
            raw, b"s1", b"news.example.com", pem, canonicalize=(b"relaxed", b"relaxed")
        ),
    }
    print(f"{len(raw):,} bytes a message")
    print(f"{'':24}{'CPU ms a message':>18}{'1 thread, /s':>14}{'2 threads, /s':>15}")
    for name, sign in ways.items():
        print(f"{name:24}{cost(sign):18.3f}{rate(sign, 1):14,.0f}{rate(sign, 2):15,.0f}")


if __name__ == "__main__":
    main()
