"""Plans the batches of a landing, and writes the files of each batch to the log before Spark starts the batch."""

import time
from collections import deque
from collections.abc import Sequence

from spark_apps.landing.discovery import OVERLAP_SECONDS, Discovery
from spark_apps.landing.landed_file import BEGINNING, LandedFile
from spark_apps.landing.log import MAX_MISSED, LandingLog, LandingState

_RECONCILE_SECONDS = 24 * 3600.0


class LandingPlanner:
    """Plans batches of new files, of missed files, and of the unread rest of the previous batch.

    A missed file has landed but is not in Bronze: its message was lost, or it appeared long after its landing time.
    Once a day the planner requests a reconciliation, with a batch without files. Bronze answers with the list of missed
    files.

    The rest of a batch comes first in the next batch. New files are added to it, so that they do not wait for the end
    of a huge file.
    """

    def __init__(
        self,
        log: LandingLog,
        discovery: Discovery,
        start: int,
        first: LandingState,
        rest: Sequence[LandedFile] = (),
    ) -> None:
        """Continue after the last entry of the log.

        Args:
            log: write-ahead log.
            discovery: finds new files.
            start: number of the last entry that is in Spark's checkpoint; the log may have further ones.
            first: state of a landing without a log.
            rest: unread rest of the last batch, if the log was lost.
        """
        self._log = log
        self._discovery = discovery
        self._number = start
        while log.has(self._number + 1):
            self._number += 1
        self._state = log.restore(self._number) or first
        self._recovered_rest = list(rest) if self._number == start else []
        # Unread rest of the last batch; None until that batch is processed.
        self._rest: list[LandedFile] | None = None
        self._missed: deque[LandedFile] = deque()
        request = log.requested_reconciliation()
        self._awaited = "" if request is None else request[0]
        self._load_missed()

    def plan(self, start: int, max_files: int, max_bytes: int, until: float | None) -> int:
        """Return the number of the next batch, or `start` if there is nothing to read.

        Args:
            start: number of the batch before.
            max_files: number of files in a batch.
            max_bytes: sum of the sizes of the files, unless a single file is larger. Partly read files do not count.
            until: see `Discovery.next_file`.

        Raises:
            LandingLogError: another process has written the entry of the batch, with other files.
            OSError: the landing is not readable; S3 and SQS may raise botocore's `ClientError` instead.
        """
        if start < self._number:  # the next batch is planned, but Spark has not started it
            return self._number
        if self._rest is None:  # read it once, although an idle source is polled
            self._rest = self._log.rest(start) or self._recovered_rest
        # Partly read files get tasks of their own. All other files share the limit of the batch.
        waiting = [file.size for file in self._rest if file.start == BEGINNING]
        files = self._take(max_files - len(self._rest), max_bytes - sum(waiting), bool(waiting), until)
        if self._rest or files or self._request_reconciliation():
            self._number += 1
            self._log.append(self._number, files, self._state, self._rest)
            self._rest, self._recovered_rest = None, []
        self._discovery.acknowledge()
        return self._number

    def _take(self, max_files: int, max_bytes: int, must_fit: bool, until: float | None) -> list[LandedFile]:
        files: list[LandedFile] = []
        left: float = max_bytes
        while len(files) < max_files:
            file = self._next_missed() or self._discovery.next_file(
                self._state.taken, left if files or must_fit else float("inf"), until
            )
            if file is None:
                break
            self._state.taken.add(file)
            files.append(file)
            left -= file.size
        return files

    def _next_missed(self) -> LandedFile | None:
        if self._awaited and not self._missed:
            self._load_missed()
        if not self._missed:
            return None
        self._state.missed_done += 1
        return self._missed.popleft()

    def _load_missed(self) -> None:
        name, before, files = self._log.missed()
        if name != self._state.missed:
            self._state.missed, self._state.missed_done = name, 0
            if len(files) < MAX_MISSED:
                # All other files from before that time are in Bronze: a message about such a file is a repetition.
                self._state.taken.shrink(before)
            else:
                self._state.reconcile_requested_at = 0.0
        if name == self._awaited:
            self._awaited = ""
        self._missed.extend(files[self._state.missed_done :])

    def _request_reconciliation(self) -> bool:
        """Request a reconciliation if it is due and no new files wait, because they would count as missed."""
        now = time.time()
        if (
            now - self._state.reconcile_requested_at < _RECONCILE_SECONDS
            or self._awaited
            or not self._discovery.is_idle()
        ):
            return False
        self._state.reconcile_requested_at = now
        self._awaited = f"reconciliation-{int(now)}"
        self._log.request_reconciliation(self._awaited, max(now - 2 * OVERLAP_SECONDS, self._state.taken.cutoff))
        return True
