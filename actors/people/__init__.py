"""People keeps the personal values of one partition's customers, where they can be erased for good.

Journal, outbox and snapshots name customers by number and by hash; what tells who somebody is
(the text of the id, e-mail, phone, name, free text) stands here only:

    people      the one class to use           person      one customer's record as bytes
    erasures    who was erased, as a ledger    manifest    which folder of values counts
    backup      copies, and back again         lookup      values for the relay, by number

docs/decisions/0028 says why erasing rewrites the whole environment.
"""
