"""The relay sends what a partition's outbox holds, at least once, each under a key of its own.

    outbox --> feed --> lane --> compose --> channel --> provider
                         |  ledger: claims before, settles after, many in one transaction
                         +-> results, as events for the flow

`relay.Relay` works on an `outbox.Outbox`; `provider.Provider` says how a channel is used. Nothing
personal is in effects, rows, results, logs or exceptions: values are fetched when a message is
composed, and forgotten when it has left.
"""
