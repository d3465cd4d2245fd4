"""Deliver the parts of a frame to the shards, and tell each of those who sent rows what came of it.

Parts that a shard put off are delivered again until a deadline. A frame may hold the rows of
several batches, which share what a delivery costs: then a partition that fails concerns only the
batches that have rows for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame
from actors.intake.routing import partition_of
from actors.intake.rows import Decoded
from actors.live.errors import BehindError, BusyError, DownError, GoneError, UnknownError
from actors.live.hosted import Receipt
from actors.live.replies import Reply
from core.errors import HeadraceError

AGAIN_S = 0.05

Parts = Sequence[tuple[int, Frame]]
Submit = Callable[[int, Frame], Future[Receipt]]


@dataclass(slots=True)
class Delivered:
    """The receipts of partitions, and the errors of those that gave none, by their numbers."""

    receipts: dict[int, Receipt] = field(default_factory=dict)
    failures: dict[int, Exception] = field(default_factory=dict)

    def checked(self) -> dict[int, Receipt]:
        """The receipts. Raises an error if there is any, and then keeps none."""
        try:
            if self.failures:
                raise next(iter(self.failures.values()))
        finally:
            self.failures.clear()
        return self.receipts


def deliver(
    parts: Parts,
    submit: Submit,
    bring: Callable[[int], None],
    end: float,
    *,
    patient: bool = True,
) -> Delivered:
    """Deliver each partition its part, until `end` on the monotonic clock.

    `submit` sends a part on its way, `bring` gives the shard of a partition what commands it lacks.
    One that is down is tried again where that is `patient`, one that is busy always.
    """
    found = Delivered()
    left = dict(parts)
    while left:
        sent = {number: submit(number, frame) for number, frame in left.items()}
        put_off: dict[int, Exception] = {}
        wait_s = 0.0
        for number, future in sent.items():
            try:
                found.receipts[number] = future.result(max(0.0, end - time.monotonic()))
            except BehindError as error:
                put_off[number] = error
                bring(number)
            except BusyError as error:
                put_off[number], wait_s = error, max(wait_s, error.retry_after_ms / 1000)
            except GoneError as error:
                found.failures[number] = error
            except DownError as error:
                if patient:
                    put_off[number], wait_s = error, max(wait_s, AGAIN_S)
                else:
                    found.failures[number] = error
            except TimeoutError:
                found.failures[number] = _unknown()
            except Exception as error:
                found.failures[number] = error
        if (found.failures and patient) or time.monotonic() + wait_s >= end:
            found.failures = {**put_off, **found.failures}
            break
        left = {number: left[number] for number in put_off}
        time.sleep(wait_s)
    for failure in found.failures.values():
        if isinstance(failure, HeadraceError):
            # It is expected, and its traceback would keep all rows until garbage is collected.
            failure.with_traceback(None)
    return found


def reply_to(decoded: Decoded, receipts: Mapping[int, Receipt], partitions: int) -> Reply:
    """What became of a batch as it was read, by the receipts of all its parts."""
    rejects = [(r.row, r.pointer, r.code, r.message) for r in decoded.rejects]
    frame = decoded.frame
    if any(receipt.rejects for receipt in receipts.values()):
        of_row = partition_of(frame.id_hash, partitions)[frame.customer]
        for number, receipt in receipts.items():
            rows = decoded.rows[np.flatnonzero(of_row == number)]
            for row, reason in receipt.rejects:
                at = int(rows[row])
                rejects.append((at, f"/{at}", reason, reason.replace("_", " ")))
    return Reply(
        sum(receipt.accepted for receipt in receipts.values()),
        sum(receipt.duplicates for receipt in receipts.values()),
        sorted(rejects),
        decoded.dropped,
        decoded.strange,
    )


def replies(
    frame: Frame, firsts: NDArray[np.int64], partitions: int, delivered: Delivered
) -> list[Reply | Exception]:
    """What became of each of the batches whose rows are those of a frame, one after the other.

    `firsts` int64[m] are the batches' first rows, ascending from 0; none is empty.
    """
    of_row = partition_of(frame.id_hash, partitions)[frame.customer]
    counts = np.diff(firsts, append=frame.rows)
    known = np.zeros(len(firsts), np.int64)
    rejects: list[list[tuple[int, str, str, str]]] = [[] for _ in firsts]
    failed: dict[int, Exception] = {}
    for number, error in delivered.failures.items():
        for batch in np.unique(_batches(firsts, np.flatnonzero(of_row == number))).tolist():
            failed[batch] = error
    for number, receipt in delivered.receipts.items():
        if not receipt.rejects and not receipt.duplicates:
            continue
        rows = np.flatnonzero(of_row == number)
        known += np.bincount(_batches(firsts, rows[list(receipt.known)]), minlength=len(firsts))
        for place, reason in receipt.rejects:
            row = int(rows[place])
            batch = int(_batches(firsts, np.array([row]))[0])
            at = row - int(firsts[batch])
            rejects[batch].append((at, f"/{at}", reason, reason.replace("_", " ")))
    return [
        failed[batch]
        if batch in failed
        else Reply(
            int(counts[batch] - known[batch]) - len(rejects[batch]),
            int(known[batch]),
            sorted(rejects[batch]),
        )
        for batch in range(len(firsts))
    ]


def _batches(firsts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whose each row is."""
    return np.searchsorted(firsts, rows, side="right") - 1


def _unknown() -> UnknownError:
    return UnknownError(
        "no answer came in time, so it is not known whether all rows were stored",
        advice="Send the same again, with the same batch or source and sequence: nothing doubles",
    )
