"""What a person types against what keeps an asset from being traded. Pure."""

from dca.core.model import plain
from dca.core.strategy import MAX_BUY_DOLLARS, MIN_BUY_DOLLARS, NOT_NOW

_OPTIONS = {"base_order_amount": "--base", "safety_order_amount": "--safety"}


def against(symbol: str, problem: str, *, was_traded: bool | None = None) -> str:
    """The remedy for one of strategy.asset_problems. `was_traded` None: not known here."""
    column = problem.split()[0]
    option = _OPTIONS.get(column)
    if option is not None:
        amount = MIN_BUY_DOLLARS if "below" in problem else MAX_BUY_DOLLARS
        return f"./bot set {symbol} {option} {plain(amount)}"
    if NOT_NOW in problem:
        return f"wait until the exchange trades it again; ./bot disable {symbol} ends the buys meanwhile"
    if column != "asset_symbol":
        return f"./bot why {symbol}"
    if was_traded is None:
        return f"./bot remove {symbol} if it was never traded, else ./bot retire {symbol}"
    return f"./bot {'retire' if was_traded else 'remove'} {symbol}"


def against_all(symbol: str, problems: str) -> list[str]:
    """The remedies for several of them, joined by semicolons as main_app tells them."""
    parts = [each for each in problems.split("; ") if each.split()[0] in {*_OPTIONS, "asset_symbol"}]
    return [against(symbol, each) for each in parts] or [f"./bot why {symbol}"]
