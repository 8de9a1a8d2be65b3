"""The DCA bot: read model, ledger, lifecycle, strategy, then trader (docs/decisions.md says why)."""

import gc

# What is imported stays. Walking it again after every 700 new objects, in search of cycles to free, is a
# twentieth of a caretaker's whole run.
gc.set_threshold(10_000)
