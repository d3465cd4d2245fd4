"""Tell the compiler which way a branch goes nearly always, so that the rare way is kept out of a loop."""

cdef extern from *:
    """
    #define HEADRACE_RARELY(x) __builtin_expect(!!(x), 0)
    """
    bint rarely "HEADRACE_RARELY"(bint x) noexcept nogil
