"""The real trader and caretakers on the paper exchange's engine, under a virtual clock and planned faults."""
