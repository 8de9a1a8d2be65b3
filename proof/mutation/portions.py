"""Modules one after the other, and what a person sees of it."""

import random
import time
import zlib
from collections.abc import Sequence
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


def run(modules: Sequence[Module], *, minutes: float | None, seeds: int, jobs: int) -> int:
    """Look at every mutant that has no result yet, for so many minutes; 1 if one survives or has none."""
    until = time.monotonic() + minutes * 60 if minutes else FOR_EVER
    with places(ROOT, jobs) as at:
        reach = Reach(FOLDER / "reach.json", at.tree)
        record(at, reach, [module.file for module in modules], until)
        for module in modules:
            if time.monotonic() < until:
                _portion(at, module, reach, until=until, seeds=seeds)
    return show(modules)


def _portion(at: Places, module: Module, reach: Reach, *, until: float, seeds: int) -> None:
    known = Results(FOLDER, module.name)
    unaccepted = [mutant for mutant in _mutants(module, at.tree) if not _is_accepted(mutant)]
    to_do = [mutant for mutant in unaccepted if known.is_open(mutant, reach.of(mutant).digest)]
    print(f"{module.name}: {len(to_do)} of {len(unaccepted)} mutants to look at", flush=True)
    for mutant, result in results(at, reach, to_do, seeds=seeds, until=until):
        known.add(result)
        if result.verdict is Verdict.SURVIVED:
            print(
                f"\n{module.name} {mutant.function}: survived ({result.seconds} s)\n{mutant.diff}", flush=True
            )


def sample(modules: Sequence[Module], count: int, *, jobs: int) -> int:
    """Only a few of each module, others with every change of it; 1 if one survives that is not accepted."""
    lost = looked_at = 0
    with places(ROOT, jobs) as at:
        reach = Reach(FOLDER / "reach.json", at.tree)
        record(at, reach, [module.file for module in modules], FOR_EVER)
        for module in modules:
            found = [mutant for mutant in _mutants(module, at.tree) if not _is_accepted(mutant)]
            seed = zlib.crc32((at.tree / module.file).read_bytes())
            few = random.Random(seed).sample(found, min(count, len(found)))  # noqa: S311 - no secret
            for mutant, result in results(at, reach, few, seeds=0, until=FOR_EVER):
                looked_at += 1
                if result.verdict is Verdict.SURVIVED:
                    lost += 1
                    print(f"\n{module.name} {mutant.function}: survived\n{mutant.diff}", flush=True)
    print(f"mutate: {looked_at - lost} of {looked_at} killed")
    return FOUND if lost else FINE


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
