"""Modules one after the other, and what a person sees of it."""

import random
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from proof.mutation.accepted import KEYS
from proof.mutation.modules import Module
from proof.mutation.mutant import Mutant
from proof.mutation.mutants import mutants
from proof.mutation.reach import Reach
from proof.mutation.results import Results, Verdict
from proof.mutation.runner import Places, places, record, results
from proof.mutation.tool import FOLDER

ROOT = Path(__file__).resolve().parent.parent.parent
FINE, FOUND = 0, 1
FOR_EVER = float("inf")


def run(
    modules: Sequence[Module], *, minutes: float | None, sample: int | None, seeds: int, jobs: int
) -> int:
    """Look at every mutant that has no result yet, or at so many of each module, for so many minutes.

    Returns 1 if a mutant survives that is not accepted, or without a sample also if one has no result.
    """
    until = time.monotonic() + minutes * 60 if minutes else FOR_EVER
    killed = survived = 0
    with places(ROOT, jobs) as at:
        reach = Reach(FOLDER / "reach.json", at.tree)
        record(at, reach, [module.file for module in modules], until)
        for module in modules:
            if time.monotonic() < until:
                for verdict in _portion(at, module, reach, sample=sample, until=until, seeds=seeds):
                    killed += verdict is Verdict.KILLED
                    survived += verdict is Verdict.SURVIVED
    if sample is None:
        return show(modules)
    print(f"mutate: {killed} of {killed + survived} killed")
    return FOUND if survived else FINE


def _portion(
    at: Places, module: Module, reach: Reach, *, sample: int | None, until: float, seeds: int
) -> Iterator[Verdict]:
    known = Results(FOLDER, module.name)
    unaccepted = [mutant for mutant in _mutants(module, at.tree) if not _is_accepted(mutant)]
    to_do = [mutant for mutant in unaccepted if known.is_open(mutant, reach.of(mutant).digest)]
    if sample is not None:
        seed = zlib.crc32((at.tree / module.file).read_bytes())
        to_do = random.Random(seed).sample(to_do, min(sample, len(to_do)))  # noqa: S311 - no secret
    print(f"{module.name}: {len(to_do)} of {len(unaccepted)} mutants to look at", flush=True)
    for mutant, result in results(at, reach, to_do, seeds=seeds, until=until):
        known.add(result)
        if result.verdict is Verdict.SURVIVED:
            print(
                f"\n{module.name} {mutant.function}: survived ({result.seconds} s)\n{mutant.diff}", flush=True
            )
        yield result.verdict


def show(modules: Sequence[Module]) -> int:
    """What is known of each module's mutants, and the diffs of the survivors."""
    lines, all_fine = [], True
    for module in modules:
        known, found = Results(FOLDER, module.name), _mutants(module, ROOT)
        judged = [(mutant, known.of(mutant)) for mutant in found if not _is_accepted(mutant)]
        survived = [mutant for mutant, result in judged if result and result.verdict is Verdict.SURVIVED]
        killed = sum(result is not None and result.verdict is Verdict.KILLED for _, result in judged)
        for mutant in survived:
            print(f"\n{mutant.module} {mutant.function}: survived ({mutant.operator})\n{mutant.diff}")
        accepted, unknown = len(found) - len(judged), len(judged) - killed - len(survived)
        score = f"{100 * killed / (killed + len(survived)):.1f} %" if killed or survived else "-"
        all_fine = all_fine and not survived and not unknown
        counts = f"{len(found):>5}{killed:>7}{len(survived):>9}{accepted:>9}{unknown:>8}"
        lines.append(f"{module.name:<32}{counts}{score:>8}")
    print(f"\n{'module':<32}{'made':>5}{'killed':>7}{'survived':>9}{'accepted':>9}{'unknown':>8}{'score':>8}")
    print("\n".join(lines))
    return FINE if all_fine else FOUND


def _mutants(module: Module, tree: Path) -> list[Mutant]:
    return mutants(module.name, module.file, (tree / module.file).read_text(encoding="utf-8"))


def _is_accepted(mutant: Mutant) -> bool:
    return (mutant.module, mutant.function, mutant.old, mutant.new) in KEYS
