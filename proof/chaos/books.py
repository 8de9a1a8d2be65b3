"""Both books of a run: the exchange's journal, and the tables as they are read every few seconds."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from demo.rows import Books, Row
from demo.truth import Truth
from proof.chaos.world import World

EARLY_END = re.compile(r' cycle (\S+) c(\d+) cooldown ended early .*why="ask (\S+) fell')
OURS = re.compile(r"^dca-[0-9a-f]+-(\d+)-\d+-")
WINDOW = 30
"""So many cycles that have ended are looked at again and again; older ones at the end only."""
BOOKED_BY_A_PERSON = frozenset({"adopted", "outside"})


def cycle_of(client_order_id: object) -> int | None:
    """The cycle that an id of ours names."""
    found = OURS.match(str(client_order_id or ""))
    return None if found is None else int(found[1])


class ChaosTruth(Truth):
    """The journal may know orders that the tables, read a moment before, do not: their id names the cycle."""

    def cycle_of(self, client_order_id: object) -> object:
        named = cycle_of(client_order_id)
        return super().cycle_of(client_order_id) if named is None else named


@dataclass(slots=True)
class Ledgers:
    """What has been read so far."""

    world: World
    journal: list[Row] = field(default_factory=list)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    observations: list[Row] = field(default_factory=list)
    _versions: dict[object, object] = field(default_factory=dict)
    _by_cycle: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _cycle_of_id: dict[str, int] = field(default_factory=dict)

    def read(self) -> set[str]:
        """Read the journal, the tables, and the journal again. Returns the client order ids that the journal
        had before the tables were read: all of them have to be in the ledger.

        Raises:
            DemoProblem: one of the two does not answer.
        """
        self._take(self.world.bourse.journal())
        known = set(self._cycle_of_id)
        self.tables = self.world.tables().read()
        self._take(self.world.bourse.journal())
        for row in self.tables["dca_orders"]:
            if self._versions.get(row["id"]) != row["version"]:
                self._versions[row["id"]] = row["version"]
                names = ("id", "client_order_id", "state", "filled_qty", "version")
                self.observations.append({name: row[name] for name in names})
        return known

    def _take(self, entries: Iterable[Row]) -> None:
        for entry in entries:
            self.journal.append(entry)
            name = entry.get("client_order_id") or (entry.get("order") or {}).get("client_order_id")
            cycle = cycle_of(name)
            if cycle is not None:
                self._cycle_of_id[str(name)] = cycle
                self._by_cycle[cycle].append(entry)

    def window(self) -> Books:
        """What is recent: live cycles and the last that ended, with their orders and what the exchange wrote
        of them."""
        cycles = self.tables["dca_cycles"]
        first = max((int(row["id"]) for row in cycles), default=0) - WINDOW
        recent = [row for row in cycles if row["live_asset_id"] is not None or int(row["id"]) > first]
        ids = {int(row["id"]) for row in recent}
        newer = {cycle for cycle in self._by_cycle if cycle > first}
        entries = [entry for cycle in ids | newer for entry in self._by_cycle.get(cycle, [])]
        return Books(
            journal=sorted(entries, key=lambda entry: int(entry["seq"])),
            assets=self.tables["dca_assets"],
            cycles=recent,
            orders=[row for row in self.tables["dca_orders"] if int(row["cycle_id"]) in ids],
            control=self.tables["dca_control"],
        )

    def whole(self) -> Books:
        """Everything, at the end."""
        return Books(
            journal=self.journal,
            assets=self.tables["dca_assets"],
            cycles=self.tables["dca_cycles"],
            orders=self.tables["dca_orders"],
            attempts=self.tables["dca_order_attempts"],
            control=self.tables["dca_control"],
            cooldown_ends=self._cooldown_ends(),
            observations=self.observations,
            state=self.world.bourse.state(),
        )

    def _cooldown_ends(self) -> list[Row]:
        """When the bot said that a fallen price ended a cooldown, and at which ask."""
        lines: list[str] = []
        for file in sorted(self.world.log_dir.glob("main_app.log*")):
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()
        found = (EARLY_END.search(line) for line in lines)
        return [{"symbol": m[1], "cycle_id": int(m[2]), "ask": m[3]} for m in found if m is not None]


def without_outside(books: Books) -> Books:
    """The books without what a person had booked: such rows never were orders at the exchange."""
    return replace(books, orders=[row for row in books.orders if row["purpose"] not in BOOKED_BY_A_PERSON])
