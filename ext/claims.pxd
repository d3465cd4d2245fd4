"""Declare the structs of couplings: claims, their answers, the line before a flow (D39 to D45)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    CLAIM_ENTRY = 0
    CLAIM_COUPON = 1
    REPORT_ARRIVED = 2
    REPORT_OPENED = 3
    REPORT_SUCCEEDED = 4

cdef enum:
    COUPLED_REFUSED_CAP = -14
    COUPLED_REFUSED_LATE = -15


cdef struct ClaimC:
    int64_t time_ms
    uint64_t hash
    int64_t start_ms
    int32_t customer
    uint32_t number
    int32_t kind
    int32_t resource
    int32_t branch
    int32_t pad


cdef struct AnswerC:
    int64_t time_ms
    int32_t result
    int32_t pad


# An entry that is claimed and has not begun. A customer's are linked by (due, number).
cdef struct LineC:
    int64_t due_ms  # INT64_MAX while the claim is not answered
    int64_t claimed_ms
    int64_t row  # the entering event
    uint64_t hash  # identity
    int32_t node
    int32_t admission
    uint32_t number
    int32_t result
    int32_t person  # -1 where the record is free
    int32_t next  # also the next free one
    int32_t prev
    int32_t pad


# How much of the budget was left after the last item of an instant in which a token arrived.
cdef struct LeftC:
    int64_t ms
    uint32_t budget
    uint32_t pad


# All that there is only where customers depend on each other.
cdef struct CoupledC:
    const int64_t* answer_offsets  # by customer; NULL where answers come in while it runs
    const AnswerC* answers
    const int32_t* resources  # by node: the pool of a coupon, the trial of a test; -1 for none
    const int32_t* trials  # by success watch: the trial of its test, -1 for none
    const int64_t* decided_ms  # by node: from when on everybody takes the branch decided for
    const int32_t* decided_branch
    int32_t gate  # the resource that entries claim, -1 for none
    uint8_t on  # whether there are any resources
    uint8_t keeps  # whether claims are written down
    uint8_t searches  # whether a customer leaves his lane when a claim of his lacks an answer
    uint8_t lacked  # whether one did, where none should
    LineC* lines
    int32_t lines_used
    int32_t lines_size
    int32_t lines_free
    int32_t pad
    LeftC* left  # by customer
    ClaimC* claims
    int64_t claims_used
    int64_t claims_size
    int64_t* queued  # by node, as are the next four
    int64_t* line_sum_ms
    int64_t* in_line
    int64_t* refused_cap
    int64_t* refused_late
