"""Loses the power while a process writes to a collection, and examines what the disk may have kept.

    python -m tests.campaigns.power --count 500

All that a process writes, syncs, renames and removes is recorded. From the record, a disk is made as it may be after
the power is lost at an instant: what was synced is there; of the rest, any part is. What was committed has to be there,
nothing may be torn, and the next run has to complete. It takes Linux and a C compiler.
"""
