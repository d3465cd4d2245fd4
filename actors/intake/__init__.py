"""Take in what clients send: rows become frames, and frames what a partition keeps.

`rows` reads customers' JSON against the tenant's schema into a `frame`, `routing` splits it by
partition, and there `admission` leaves out what was taken in before, and `directory` gives every
customer a number and keeps what is known of them.
"""
