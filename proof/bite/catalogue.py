"""All deliberate faults, and which of them to plant."""

import random
import zlib
from pathlib import Path

from proof.bite import (
    faults_care,
    faults_database,
    faults_exchange,
    faults_execution,
    faults_ledger,
    faults_limits,
    faults_operation,
    faults_placing,
    faults_settling,
    faults_starting,
    faults_strategy,
    faults_survivors,
)
from proof.bite.fault import Fault

FAULTS: tuple[Fault, ...] = (
    *faults_placing.FAULTS,
    *faults_settling.FAULTS,
    *faults_ledger.FAULTS,
    *faults_strategy.FAULTS,
    *faults_limits.FAULTS,
    *faults_exchange.FAULTS,
    *faults_database.FAULTS,
    *faults_care.FAULTS,
    *faults_operation.FAULTS,
    *faults_starting.FAULTS,
    *faults_execution.FAULTS,
    *faults_survivors.FAULTS,
)


def seed_of(root: Path) -> int:
    """A number that follows from the source and not from the day: every change is sampled anew, and the same
    tree always alike."""
    seed = 0
    for path in sorted({fault.file for fault in FAULTS}):
        seed = zlib.crc32((root / path).read_bytes(), seed)
    return seed


def sample(count: int, seed: int) -> list[Fault]:
    """So many different ones that are noticed quickly, spread over the files as far as it goes."""
    order = [fault for fault in FAULTS if not fault.hangs]
    random.Random(seed).shuffle(order)  # noqa: S311 - a choice that can be repeated, no secret
    first = {fault.file: fault for fault in reversed(order)}.values()
    rest = [fault for fault in order if fault not in first]
    return [*first, *rest][:count]
