"""The log of a job that runs every few seconds: known trouble is one line, and so is its end.

In: how each run ended. Out: an error when trouble begins or changes, and a line when the job succeeds again. A database
that is away for an hour must not fill the log with the same sentence.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from newsletter.errors import NewsletterError


@dataclass(slots=True)
class TroubleLog:
    """What was logged last of one job."""

    logger: logging.Logger
    job: str
    """For people, as the subject of a sentence: `the tick`."""
    _logged: str = ""

    def failed(self, error: NewsletterError) -> None:
        """Log the error, unless it is the one of the run before: its message says what to do, so there is no trace."""
        if str(error) != self._logged:
            self.logger.error("%s failed, and is tried again every few seconds: %s", self.job, error)
            self._logged = str(error)

    def succeeded(self) -> None:
        """Log that trouble is over, if there was any."""
        if self._logged:
            self.logger.info("%s succeeds again", self.job)
            self._logged = ""
