"""Declare the machine that searches."""

from ext.machine cimport Machine


cdef class SearchMachine(Machine):
    pass
