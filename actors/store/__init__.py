"""Store partitions: one folder each, with a journal, an outbox, cursors and snapshots in LMDB.

Start at `partition`: `Partition.open(folder)`, then `commit(journal, outbox, cursors)`. When a
commit returns, the disk has all of it; until then none of it counts. Everything else serves to keep
that true, or to say loudly that it is not:

    partition      the one class to use             environment   transactions, fenced
    journal        inputs, numbered                 head          the counters they all compare
    outbox         effects, one block a commit      side_file     the number of transactions, again
    cursors        how far each source got          frames        every record with its checksum
    relay_marks    how far the relay got            folder        layout, format, lock
    snapshot       state in slices and a manifest   starts        openings that died young
    backup         copies, and back again           verify        whether it is all true
    errors         what can go wrong

The store holds bytes and reads no clock. docs/decisions/0026 says why it looks like this.
"""
