"""Count where tokens stand at a time, and whose time to succeed is not over by then."""

from libc.stdint cimport int32_t, int64_t

from ext.structs cimport *
from ext.waves cimport count_place


cdef inline void count_standing(MachineC* m) noexcept nogil:
    """Add up waiting and idle tokens, people in line, and people of each layer of the funnel."""
    cdef StateC* s = &m.s
    cdef int32_t c, i, word
    for c in range(s.persons_n):
        if not s.persons[c].crowd:
            count_place(m, s.persons[c].state, s.persons[c].node)
    for i in range(s.tokens_used):
        count_place(m, s.tokens[i].state, s.tokens[i].node)
    for i in range(m.p.n_layers):
        for c in range(s.persons_n):
            for word in range(m.p.words):
                if s.visited[<int64_t>c * m.p.words + word] & m.p.layers[i * m.p.words + word]:
                    m.t.layer_people[i] += 1
                    break


cdef inline void not_matured(
    const MachineC* m, int32_t c, int64_t now_ms, int64_t* matured, int64_t* succeeded
) noexcept nogil:
    """Take a customer's watches that are not over from what was counted when they were opened."""
    cdef const WatchOpenC* w
    cdef int32_t i = -1
    if m.p.n_watches and m.s.persons[c].state != TOKEN_FREE:
        i = m.s.details[c].watches
    while i >= 0:
        w = &m.s.open_watches[i]
        if w.deadline_ms >= now_ms:
            matured[w.counter] -= 1
            succeeded[w.counter] -= (w.state & WATCH_SUCCEEDED) != 0
        i = w.next
