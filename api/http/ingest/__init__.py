"""Take in events in the formats that clients speak already.

Each module reads one family of formats as rows of `actors.intake.rows` with a pure function, and
answers as its clients expect. `intake` does what they have in common.
"""
