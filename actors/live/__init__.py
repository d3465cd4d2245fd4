"""Run flows for real customers: partitions, the shards that host them, and the gateway before them.

A client's rows come to the `engine`, which splits them by partition and hands them to a `shard`;
there one thread commits them to its partitions and fires their timers. `data_dir` is where all of
it lies, `control` what was published, stopped and paused, in order.
"""
