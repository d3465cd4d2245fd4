"""Declare every C struct of the interpreter, in four kinds that are never mixed.

ProgramC is constant during a run; StateC is what the machine remembers of its customers; TallyC is
what it counts and logs; WaveC is the scratch of a call. The record layouts of the program are those
of core/program.py, checked when a machine is made.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from ext.civil cimport SlotC
from ext.claims cimport CoupledC

cdef enum:
    OP_TRIGGER = 0
    OP_DECIDE = 1
    OP_VALUE = 2
    OP_WAIT_FOR = 3
    OP_WAIT_AT = 4
    OP_WAIT_DATE = 5
    OP_WAIT_SLOT = 6
    OP_WAIT_EVENT = 7
    OP_SPLIT = 8
    OP_SEND = 9
    OP_SET = 10
    OP_ADD = 11
    OP_END = 12
    OP_CLAIM = 13

cdef enum:
    PRED_NEVER = 0
    PRED_RANGE = 1
    PRED_RANGE_FLOAT = 2
    PRED_TABLE = 3
    PRED_IN = 4
    PRED_IN_FLOAT = 5
    PRED_PRESENT = 6
    PRED_LAST = 7
    PRED_NEXT = 8
    PRED_OLDER = 9
    PRED_ANNIVERSARY = 10
    PRED_COMPARE = 11
    PRED_HISTORY = 12
    PRED_CLOCK = 13

cdef enum:
    MEMBERS_AT_START = 1
    MEMBERS_JOINING = 2
    MEMBERS_OF_MOMENTS = 4

cdef enum:
    PERIOD_NONE = 0
    PERIOD_DAY = 1
    PERIOD_WEEK = 2
    PERIOD_MONTH = 3

cdef enum:
    SOURCE_CUSTOMER = 0
    SOURCE_EVENT = 1
    SOURCE_ENTRY = 2

cdef enum:
    STORE_INT8 = 0
    STORE_INT32 = 1
    STORE_INT64 = 2
    STORE_FLOAT64 = 3

cdef enum:
    REL_IS = 0
    REL_IS_NOT = 1
    REL_ABOVE = 2
    REL_AT_LEAST = 3
    REL_BELOW = 4
    REL_AT_MOST = 5

cdef enum:
    TRIGGER_EVENT = 0
    TRIGGER_SEGMENT = 1
    TRIGGER_SCHEDULE = 2

cdef enum:
    FLAG_LOCAL = 1
    FLAG_TIMEOUT = 2
    FLAG_STICKY = 4
    FLAG_WHOLE = 8
    FLAG_FLOAT = 16
    FLAG_TOUCH = 32
    FLAG_SEGMENT = 64
    FLAG_AGAIN = 128
    FLAG_LATE = 256
    FLAG_JOINT = 512
    FLAG_SEVERAL = 1024
    FLAG_NOW = 2048

cdef enum:
    EVENT_WAITED = 1
    EVENT_WATCHED = 2
    EVENT_SEGMENT = 4
    EVENT_EXITS = 8

cdef enum:
    OUT_END = -1
    OUT_NO_BRANCH = -2
    OUT_NO_DATE = -3
    OUT_WHOLE_FLOW = -4
    OUT_PARKED_BUDGET = -5
    OUT_PARKED_OVERFLOW = -6
    OUT_REFUSED_NO_KEY = -7
    OUT_REFUSED_ONCE = -8
    OUT_REFUSED_INSIDE = -9
    OUT_REFUSED_GAP = -10
    OUT_EXIT = -11
    OUT_REFUSED_HOLDOUT = -12
    OUT_MERGED = -13

cdef enum:
    POLICY_ONCE = 0
    POLICY_AFTER_EXIT = 1
    POLICY_ALWAYS = 2

# States of a token, and of a customer who has none.
cdef enum:
    TOKEN_FREE = 0  # none, and no entry ever
    TOKEN_GONE = 1  # none any more
    TOKEN_READY = 2  # stands before a node that it has not entered yet, or runs
    TOKEN_WOKEN = 3  # is to leave its node, by its `port`, the first one of a customer's only token
    TOKEN_TIMED = 4  # waits for its timer
    TOKEN_LISTENING = 5  # waits for an event, with a timer or without
    TOKEN_IDLE = 6
    TOKEN_PARKED = 7
    TOKEN_DEAD = 8  # taken out while in the FIFO
    TOKEN_CLAIMED = 9  # waits for a claim's answer, with a timer once it is known
    TOKEN_IN_LINE = 10  # none yet: an entry that is claimed

cdef enum:
    STAGE_REST = 0
    STAGE_TRIGGERS = 1
    STAGE_SEGMENTS = 2

cdef enum:
    ROUTE_NONE = -1  # no edge: the token stands idle, or ends with the port's outcome
    ROUTE_FORK = -2

cdef enum:
    NO_ADMISSION = -1  # but the customer's own
    NO_ROW = -1  # no event; a modelled one is -2 - its row of constants
    HISTORICAL = 1 << 30  # added to the type of an event that came too late to be more than history
    ECHO = 1 << 29  # added to the type of an event that is in the history already, and heard of now
    OUTCOMES = 13
    FIRES = 6  # of a column: an internal event by kind of change, and whether no value counts as 0
    DELAY_SUB_BITS = 6
    DELAY_OCTAVES = 37
    DELAY_CELLS = 2368


cdef struct NodeC:
    int32_t op
    int32_t port0
    int32_t ports
    int32_t cond
    int32_t a
    int32_t b
    int32_t slot
    int32_t flags
    int32_t months
    int32_t days
    int64_t ms
    int64_t x
    int32_t fires
    int32_t pad


cdef struct PortC:
    int32_t edge0
    int32_t edges
    int32_t outcome
    int32_t pad


cdef struct PredC:
    int32_t op
    int32_t source
    int32_t col
    int32_t store
    int32_t negate
    int32_t on_true
    int32_t on_false
    int32_t source2
    int32_t col2
    int32_t store2
    int64_t lo
    int64_t hi


cdef struct TriggerC:
    int32_t node
    int32_t kind
    int32_t cond
    int32_t cond_end
    int32_t members
    int32_t fires


# An event and its filter.
cdef struct ListenC:
    int32_t event
    int32_t cond


# An event that the run makes happen.
cdef struct InternalC:
    int32_t event
    int32_t pad


cdef struct WatchC:
    int32_t event
    int32_t cond
    int32_t counter0
    int32_t test
    int64_t within_ms


cdef struct RuleC:
    int32_t cond
    int32_t draw0
    int32_t draws
    int32_t pad


cdef struct DrawC:
    int32_t outcome
    int32_t event
    int32_t parent
    int32_t table
    int32_t constants
    int32_t ident
    int64_t probability
    uint64_t key
    uint64_t delay_key


cdef struct EventC:
    int32_t trigger0
    int32_t triggers
    int32_t history
    int32_t flags


cdef struct ValueTableC:
    int32_t store
    int32_t start
    int32_t size
    int32_t other


cdef struct LogC:
    uint32_t customer
    uint32_t step
    int64_t time_ms
    uint64_t entry
    int32_t node
    int32_t port


# A change of a customer's record that a flow made.
cdef struct ChangeC:
    uint32_t customer
    int32_t column
    int64_t time_ms
    int64_t value  # as `write_cell` takes it


# A message that the world is asked to send.
cdef struct EffectC:
    uint32_t customer
    int32_t node
    int64_t time_ms
    uint64_t entry
    uint64_t id_hash  # of the customer
    uint32_t visit
    uint32_t number  # of the entry
    int64_t row  # of the event with which it began, below 0 for none


cdef struct ColumnC:
    void* data  # of the block's customers; a copy where written
    const uint8_t* changed  # whether a customer has dated changes, NULL where none has
    int32_t store
    int32_t written


cdef struct ProgramC:
    const NodeC* nodes
    const PortC* ports
    const int32_t* edges
    const int32_t* port0  # by node: its first port, as in `nodes`
    const int32_t* routes  # by port: the only edge's target, or ROUTE_*
    const int32_t* listeners  # by event type: which list those that wait for it are in, or -1
    const PredC* preds
    const uint8_t* pred_bytes
    const int64_t* sets
    const double* float_sets
    const ValueTableC* value_tables
    const int64_t* value_keys
    const int32_t* value_ports
    const TriggerC* triggers
    const EventC* events
    const int32_t* event_triggers
    const WatchC* watches
    const int64_t* weights
    const SlotC* slots
    const InternalC* internals
    const ListenC* listens
    const ListenC* exits
    const int32_t* guards
    const int32_t* column_fires  # by column: FIRES numbers
    const uint8_t* column_watched  # whether changes of a column make anything happen
    ColumnC* columns
    ColumnC* properties
    const int64_t* row_offsets  # inputs by customer
    const int32_t* row_type
    const int64_t* row_ms  # when it takes effect
    const int64_t* row_past_ms  # when it happened, which is what look-backs ask; the same, but for live inputs
    const uint64_t* row_hash
    int64_t* row_previous
    const int64_t* row_value
    const uint64_t* id_hash
    const int64_t* created_ms
    const int32_t* zone_of
    const int32_t* zone_offsets
    const int64_t* zone_utc
    const int64_t* zone_offset
    const int64_t* schedule_offsets
    const int64_t* schedule_ms
    const int32_t* sends
    const RuleC* rules
    const DrawC* draws
    const int64_t* delays
    const int64_t* constants
    const uint8_t* known
    const uint8_t* idents
    const int32_t* ident_offsets
    const uint64_t* layers
    const int32_t* touch_offsets
    const int32_t* touch_columns
    const int32_t* segment_triggers
    const int32_t* schedule_triggers
    const uint8_t* segment_column  # whether a segment trigger reads a column
    int64_t last_row
    int64_t from_ms
    int64_t entry_from_ms
    int64_t entry_until_ms
    int64_t horizon_ms
    int64_t as_of_ms
    int64_t gap_ms
    int32_t n_nodes
    int32_t n_events
    int32_t n_columns
    int32_t n_properties
    int32_t answers  # the property of an event that says which message it answers, -1 for none
    int32_t n_histories
    int32_t n_watches
    int32_t n_tests
    int32_t n_segments
    int32_t n_schedules
    int32_t n_zones
    int32_t n_layers
    int32_t n_slots
    int32_t n_listeners
    int32_t n_exits
    int32_t internal0  # of the rows of constants, those from this one on are of internal events
    int32_t n_constants
    int32_t holdout_points  # of 10,000 customers that are kept out
    uint64_t holdout_key
    int32_t words  # of a bit for each node
    int32_t test_words  # of a bit for each A/B test
    int32_t policy
    int32_t key_property
    int32_t goal  # number of the goal's watch, -1 for none
    uint32_t budget
    uint8_t budgeted  # whether any customer can exceed the budget
    uint8_t named  # whether entries' identities are asked for
    uint8_t detailed  # whether details are written before any entry
    uint8_t plain  # whether nothing ever asks for details
    uint8_t live  # whether rows come in while it runs, and happened out of order perhaps
    uint8_t after  # the stage that follows the drain of a timer: segments, where there are any


# A node of a pairing heap; heaps lie beside the arrays whose elements they order, index for index.
cdef struct HeapC:
    int64_t key
    uint64_t tie
    int32_t child
    int32_t next
    int32_t prev  # parent of a first child, else left neighbour; -1 for a root, -2 in no heap


# A place in the flow of a customer who has several. `next` and `prev` link those that listen, or
# those in the FIFO; `next` of one that has claimed is the claim's number.
cdef struct TokenC:
    int32_t node
    int32_t entry
    int32_t next
    int32_t prev
    int32_t entry_next
    int32_t entry_prev
    uint8_t state
    uint8_t port
    uint8_t modelled  # woken by a modelled event
    uint8_t pad


cdef struct EntryC:
    int64_t start_ms
    uint64_t hash
    int64_t row  # the entering event
    int32_t admission  # NO_ADMISSION for the customer's own
    uint32_t number
    uint32_t forks
    int32_t tokens
    int32_t first
    int32_t last  # also the next free one
    int32_t person
    int32_t next_entry  # of the same person, the one before it in time
    int32_t prev_entry
    int32_t pad


# What re-entry asks: of a customer, or of a customer and a key.
cdef struct AdmissionC:
    int64_t last_ms  # INT64_MIN for never
    int64_t active


cdef struct KeySlotC:
    int64_t key
    int32_t person
    int32_t admission  # -1 for an empty slot


cdef struct PendingC:
    uint64_t entry_hash
    uint32_t entry_number
    uint32_t visit
    int32_t node
    int32_t draw  # also the next free one


# A modelled event that happens.
cdef struct HappeningC:
    int64_t row
    uint64_t hash
    int32_t sender
    uint32_t sending_entry


# A modelled event that has happened, for conditions that look back.
cdef struct PastC:
    int64_t ms
    int64_t row
    int64_t previous


cdef enum:
    WATCH_MATURED = 1  # its deadline lies before the horizon
    WATCH_SUCCEEDED = 2  # live, where a success counts as matured when its time is over


cdef struct WatchOpenC:
    int64_t deadline_ms
    int64_t row
    int32_t watch
    int32_t counter
    int32_t state  # WATCH_*
    int32_t next


# A customer under way: the 64 bytes that most steps touch alone. A single token lies in the record
# itself (`node`, `state`, and its timer as `due_ms`); the moment a second one is made, all go to
# the slabs (`crowd`), until the last of them has ended.
cdef struct PersonC:
    int64_t now_ms
    int64_t input_ms  # next recorded input; INT64_MAX for none, here and below
    int64_t due_ms  # next timer of a token
    int64_t other_ms  # next modelled event, segment re-check or schedule
    int64_t row  # next recorded input
    int64_t start_ms  # of the entry whose token runs, or is alone
    int64_t entry_row  # of the same entry
    int32_t node
    uint8_t state
    uint8_t crowd
    uint8_t stage
    uint8_t port  # of the only token, where it waits for an answer


# What fewer steps ask of a customer; beside persons. Where no segment, schedule or key asks for it
# earlier, it is written at the first entry.
cdef struct DetailC:
    AdmissionC admission  # where re-entry has no key
    uint32_t entry_number  # of the entry whose token runs, or is alone, as are the next two
    int32_t entry_visits  # its row of visit counters: the customer's, or -1 - entry in a crowd
    int32_t entry_admission
    uint32_t entries
    uint32_t budget
    int32_t first_entry  # of those with tokens in the crowd, where an exit asks for them
    int64_t segment_ms
    int64_t schedule_ms
    int32_t token  # that runs, where there is a crowd
    int32_t tokens  # in the crowd
    int32_t timers
    int32_t ready
    int32_t ready_last
    int32_t pending
    int32_t watches
    uint32_t pending_count
    int64_t event_row
    uint64_t event_hash
    int32_t event_type
    uint8_t dirty
    uint8_t judged  # whether the segment triggers were evaluated first
    uint8_t lacking  # whether a claim lacks an answer, in a search
    uint8_t pad  # to 128 bytes
    uint32_t claims  # so many were made
    uint32_t claim  # that the only token waits for
    int32_t line  # entries that are claimed: first
    int32_t line_last


cdef struct StateC:
    int64_t lo  # the audience's number of the block's first customer
    int32_t persons_n
    int32_t persons_size
    int32_t trap
    int32_t pad
    PersonC* persons
    DetailC* details  # beside persons
    DetailC blank
    uint32_t* steps  # beside persons, as is the next: how many decisions were logged
    uint64_t* hashes  # identity of the entry whose token runs, or is alone
    TokenC* tokens
    HeapC* timers  # beside tokens
    EntryC* entries
    uint32_t* visits  # n_slots each, of customers' single tokens
    uint32_t* entry_visits  # likewise, beside entries
    int32_t* listening  # by customer and listeners: the crowd's tokens that wait for an event
    AdmissionC* admissions  # by customer and key
    KeySlotC* keys
    PendingC* pending
    HeapC* pending_heap  # beside pending
    PastC* past
    WatchOpenC* open_watches
    int64_t* last_row  # by customer and history
    int64_t* last_past
    uint8_t* segment_state
    int64_t* schedule_next
    uint64_t* visited
    uint64_t* touched
    uint64_t* tested
    int32_t tokens_used
    int32_t tokens_size
    int32_t tokens_free
    int32_t entries_used
    int32_t entries_size
    int32_t entries_free
    int32_t admissions_used
    int32_t admissions_size
    int32_t keys_used
    int32_t keys_size
    int32_t pending_used
    int32_t pending_size
    int32_t pending_free
    int32_t past_used
    int32_t past_size
    int32_t watches_used
    int32_t watches_size
    int32_t watches_free


cdef struct TallyC:
    int64_t people
    int64_t steps
    int64_t* entered
    int64_t* unique
    int64_t* port
    int64_t* outcome
    int64_t* waiting
    int64_t* idle
    int64_t* delay_sum_ms
    int64_t** delays  # by node and octave: counts, then sums of its cells; NULL until one is due
    int64_t* entries_by_hour
    int64_t* sends_by_hour
    int64_t* layer_people
    int64_t* watch_opened
    int64_t* watch_matured
    int64_t* watch_succeeded
    int64_t* watch_succeeded_ever
    int64_t* watch_modelled
    int64_t* touched
    int64_t* modelled
    int64_t* modelled_wakes
    int64_t* modelled_entries
    int32_t hours
    int32_t logs
    int32_t log_block  # whether the log holds all decisions of the block, and no others
    int32_t pad
    LogC* log
    int64_t log_used
    int64_t log_size
    EffectC* effects  # since they were last taken, where the machine is live
    int64_t effects_used
    int64_t effects_size
    ChangeC* changes  # likewise
    int64_t changes_used
    int64_t changes_size


# The customers whose running token stands before a node.
cdef struct QueueC:
    PersonC** items  # room for all lanes; NULL where there is nobody
    int32_t n
    int32_t rank  # the node's place in the order of work


# What one call of `apply` works with.
cdef struct WaveC:
    QueueC* queues  # by node
    uint64_t* filled  # a bit for the rank of each node whose queue is not empty
    const int32_t* order  # nodes by rank
    PersonC*** spare  # buffers that no queue holds
    int32_t spares
    int32_t words
    PersonC** idle  # customers without a running token
    int32_t idles
    int32_t lanes
    int64_t until_ms
    PersonC** seeing  # customers to whom an event happens
    int32_t seen
    int32_t fresh  # whether customers begin with this call
    int32_t* ports  # by place among those at hand; of those who see an event its type
    PersonC** sorted
    int32_t* counts  # by port, or by event type


cdef struct MachineC:
    ProgramC p
    StateC s
    TallyC t
    WaveC w
    CoupledC k
    int32_t* scratch
    int32_t scratch_size
