"""What proves that money is not lost: simulation, chaos, fuzz, model check, planted faults."""
