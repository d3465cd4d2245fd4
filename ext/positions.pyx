"""List where everybody stands in a live machine, in one pass over what it remembers."""

from libc.stdint cimport int32_t, int64_t

import numpy as np

cimport numpy as cnp

from ext.live cimport LiveMachine
from ext.positions cimport PositionsC, walk

cnp.import_array()

__all__ = ["positions"]


def positions(LiveMachine machine):
    """Customer int32[n], node int32[n] and due ms int64[n] of all tokens under way, by customer.

    What is never due has INT64_MAX. Of one customer the order is that of `LiveMachine.places`.
    """
    cdef PositionsC into
    cdef int64_t n
    into.customer, into.node, into.due_ms = NULL, NULL, NULL
    with nogil:
        n = walk(&machine.m, &into)
    customer, node = np.empty(n, np.int32), np.empty(n, np.int32)
    due_ms = np.empty(n, np.int64)
    into.customer = <int32_t*>cnp.PyArray_DATA(customer)
    into.node = <int32_t*>cnp.PyArray_DATA(node)
    into.due_ms = <int64_t*>cnp.PyArray_DATA(due_ms)
    with nogil:
        walk(&machine.m, &into)
    order = np.argsort(customer, kind="stable")
    return customer[order], node[order], due_ms[order]
