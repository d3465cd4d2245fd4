"""Tell the compiler which way a branch rarely goes, so that it keeps that way out of the loop."""

cdef extern from *:
    """
    #define HEADRACE_RARELY(x) __builtin_expect(!!(x), 0)
    """
    bint rarely "HEADRACE_RARELY"(bint x) noexcept nogil
