"""What every test shares: one hypothesis profile, and no setting of the machine that runs the tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine is slow, which is no fault of the code: a test fails for what it finds, not for how long it took.
settings.register_profile("newsletter", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("newsletter")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the settings of the person who runs the tests out of the environment that child processes inherit."""
    for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
        monkeypatch.delenv(name)
