"""Find out what customers claim: run them as far as their claims are answered (D39 to D45)."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

import numpy as np

cimport numpy as cnp

from core.binding_check import check_grants
from core.couplings import CLAIM

from ext.waves cimport run_waves

cnp.import_array()

__all__ = ["SearchMachine"]


cdef class SearchMachine(Machine):
    """A machine that writes claims down and lets go of whoever lacks an answer.

    What it counts is of no use.
    """

    def __cinit__(self, *args, **kwargs):
        self.m.k.keeps = self.m.k.searches = 1

    def answer(self, grants):
        """Let claims be answered by these `Grants` from now on. ValueError for those of another run."""
        check_grants(self.bound, grants)
        self.bind_grants(grants)

    def search(self, rows):
        """Run customers from the beginning, each to the horizon or to the end of the item that lacks an answer.

        `rows` int64[k] ascending, of at most `block_max` neighbours: ValueError otherwise. Returns
        False where `stop` was asked for meanwhile. MemoryError where the state can't grow.
        """
        cdef int32_t n = len(rows)
        cdef int result
        if n == 0:
            return True
        first, last = int(rows[0]), int(rows[n - 1]) + 1
        places = np.ascontiguousarray(np.asarray(rows, np.int64) - first, np.int32)
        if np.any(np.diff(places) <= 0):
            raise ValueError("customers must ascend")
        try:
            self.load(first, last)
        except IndexError as error:
            raise ValueError(str(error)) from None
        memcpy(self.queue, cnp.PyArray_DATA(places), <size_t>n * sizeof(int32_t))
        with nogil:
            self.m.w.fresh = self.begun = 1
            result = run_waves(
                &self.m, &self.calendar, self.queue, n, self.m.p.horizon_ms, &self.stop_flag
            )
        if self.m.s.trap:
            raise MemoryError("the machine's state can't grow; use smaller blocks or fewer workers")
        return result == 0

    def take_claims(self):
        """The claims and reports since the last call, CLAIM records; those of a customer in his own order."""
        records = np.empty(self.m.k.claims_used, CLAIM)
        memcpy(cnp.PyArray_DATA(records), self.m.k.claims, <size_t>records.nbytes)
        self.m.k.claims_used = 0
        return records
