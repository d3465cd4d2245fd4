"""State every limit once, with the reason beside it.

A limit that two others must respect is asserted here, so that changing one alone fails at import.
"""

FLOW_BYTES_MAX = 16 * 2**20  # a flow file is refused before it is parsed
FLOW_DEPTH_MAX = 64  # nesting of mappings and lists in a document, and of conditions
NODES_MAX = 20_000  # twice the largest flow that must work
EDGES_MAX = 8 * NODES_MAX
CONDITION_PARTS_MAX = 10_000  # parts of one `all` or `any`
VALUES_MAX = 100_000  # values of one `one_of`, or of one branch
SLOTS_MAX = 168  # stretches of one week, as many as it has hours
PATTERN_CHARS_MAX = 512  # a regular expression
PATTERN_BYTES_MAX = 512  # the same in UTF-8
PATTERN_MEMORY_BYTES_MAX = 2**18  # RE2's budget for one: what does not fit is refused at once
PATTERN_PROGRAM_MAX = 1_300  # steps of its program: the letters of all scripts are 1,200
PATTERN_SMALL_PROGRAM_MAX = 400
PATTERN_TEXT_BYTES_MAX = 1_024  # of a text, that are searched for a pattern
PATTERN_LARGE_TEXT_BYTES_MAX = 256  # that are searched for one of more steps than a small one
NAME_CHARS_MAX = 256  # names of events, attributes, tags, groups, templates
ID_BYTES_MAX = 511  # ids of customers: the longest key the store takes
GUARDS_MAX = 32  # reasons not to send one message
LISTENS_MAX = 100  # events of one wait
EXITS_MAX = 100  # rules that take customers out of a flow
HISTORY_COUNT_MAX = 1_000_000  # `at_least` and its like
ENTRY_RATE_MAX = 1_000_000  # people let in within a second: the line remembers so many
PEOPLE_MAX = 1_000_000_000  # people of a cap or a test, coupons of a pool
RUN_MS_MAX = 3_660 * 86_400_000  # ten years from --from to the horizon: reports count by the hour

WEIGHT_TOTAL = 10_000  # weights of a split are 10,000ths
STEP_BUDGET = 100_000  # nodes that one input may take a customer's tokens through
PROBABILITY_TOTAL = 1_000_000_000  # response probabilities are billionths
QUANTILE_CELLS = 4096  # cells of a delay's quantile table; the last is split as finely again

assert STEP_BUDGET >= 4 * NODES_MAX, "a chain through every node must fit in one activation"
assert EDGES_MAX < 2**31
