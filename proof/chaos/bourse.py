"""The exchange as the nemesis and a person see it: its admin interface."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import requests

from demo.exchange import Exchange
from demo.problems import DemoProblem
from demo.rows import Row


class Bourse(Exchange):
    """A running paper exchange whose admin does more than the demo needs."""

    def fault(self, name: str, count: int, symbol: str | None, args: Mapping[str, Any]) -> int:
        """Make something go wrong; returns the fault's number."""
        body = {"name": name, "count": count, "args": dict(args), "symbol": symbol}
        answer = self._ask("POST", "/faults", body)
        return int(answer["id"])

    def clear_faults(self) -> None:
        self._ask("DELETE", "/faults", None)

    def waiting_faults(self) -> set[int]:
        return {int(each["id"]) for each in self.state()["faults"]}

    def cancel(self, order_id: str) -> None:
        """What a person does in the dashboard.

        Raises:
            DemoProblem: it has ended already.
        """
        self._ask("DELETE", f"/orders/{order_id}", None)

    def sell(self, symbol: str, qty: Decimal) -> None:
        """A person sells coins at market.

        Raises:
            DemoProblem: the exchange refuses.
        """
        body = {"symbol": symbol, "side": "sell", "type": "market", "time_in_force": "gtc"}
        self._ask("POST", "/orders", {**body, "qty": f"{qty:f}"})

    def deposit(self, symbol: str, qty: Decimal) -> None:
        self._ask("POST", "/positions", {"symbol": symbol, "qty": f"{qty:f}"})

    def unblock(self) -> None:
        """The account trades again."""
        self._ask("POST", "/account", {"trading_blocked": False})

    def admit(self, symbol: str) -> None:
        """A pair that was halted trades again."""
        self._ask("POST", "/assets", {"symbol": symbol, "tradable": True, "status": "active"})

    def is_alive(self, patience_seconds: float) -> bool:
        """Whether it answers within that time."""
        try:
            answer = self._session.get(self.urls["admin"] + "/health", timeout=patience_seconds)
        except requests.RequestException:
            return False
        return answer.ok

    def open_orders(self) -> list[Row]:
        found: list[Row] = self.state()["open_orders"]
        return found

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        answer = self._call(method, path, body)
        if answer is None:
            raise DemoProblem(f"the exchange says nothing to {method} {path}")
        return answer
