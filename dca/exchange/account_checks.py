"""The checks before the first order; each failure is one line that says what to do."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from dca.core.errors import KeysRefused, RequestRefused, StartRefused
from dca.core.interfaces import Broker, Clock, MainBroker, Store, Transaction
from dca.core.model import Account, Control, TradingRules
from dca.exchange import clock_offset
from dca.exchange.clock_offset import ClockReading
from dca.runtime import database_owner
from dca.runtime.settings import ExchangeSettings, Venue

SAME_MOMENT = timedelta(seconds=1)
"""Tolerance for the account's creation time, which the database stores with fewer decimals."""


def begin(
    store: Store, broker: MainBroker, clock: Clock, exchange: ExchangeSettings, database: str, us: str
) -> Control:
    """Run the checks before the first order, and count this start: earlier ones may no longer trade.

    Raises:
        StartRefused: a check failed; says what the operator must do.
        Unavailable: the database or the exchange does not answer; try again.
    """
    account = read_account(broker, exchange)
    check_account(account)
    check_clock(clock_offset.read(broker, clock))

    def take(tx: Transaction) -> Control:
        control = tx.control()
        check_binding(control, account, database)
        check_owner(tx, us, clock.now(), database)
        tx.set_owner(us, clock.now())
        return tx.next_epoch(account.id, account.made_at)

    return store.transaction(take)


def read_account(broker: Broker, settings: ExchangeSettings) -> Account:
    """The account behind the keys.

    Raises:
        KeysRefused: the keys are not accepted.
        ExchangeUnavailable: no answer; try again.
    """
    try:
        return broker.account()
    except RequestRefused as error:
        if error.status not in {401, 403}:
            raise
        raise KeysRefused(
            f"{settings.trading_url} does not accept the keys ({error.status}): check APCA_API_KEY_ID and "
            "APCA_API_SECRET_KEY; paper and live accounts have separate keys"
        ) from error


def check_account(account: Account) -> None:
    """Raises:
    StartRefused: the account may not trade crypto.
    """
    why = None
    if account.status != "ACTIVE":
        why = f"its status is {account.status}: finish setting up the account in Alpaca's dashboard"
    elif account.account_blocked or account.trading_blocked:
        why = "it is blocked: contact Alpaca support"
    elif account.trade_suspended_by_user:
        why = "trading is suspended by its user: switch it on in Alpaca's dashboard"
    elif account.crypto_status != "ACTIVE":
        why = (
            f"crypto is {account.crypto_status or 'not enabled'}: sign the crypto agreement in the dashboard"
        )
    if why is not None:
        raise StartRefused(f"account {account.id} cannot trade crypto: {why}")


def check_clock(reading: ClockReading) -> None:
    """Raises:
    StartRefused: the clocks differ too much to judge how old a quote is (F62).
    """
    if reading.is_wrong:
        raise StartRefused(f"{reading.words}: set it right (timedatectl set-ntp true)")


def check_binding(control: Control, account: Account, database: str) -> None:
    """Raises:
    StartRefused: the database belongs to another account (F49).
    """
    why = other_account(control, account, database)
    if why is not None:
        raise StartRefused(why)


def other_account(control: Control, account: Account, database: str) -> str | None:
    """Why an account is not the one that the database has traded; None if it is. An account with the same id
    may still be a new one: a restarted local exchange, or a paper account that was reset."""
    if control.account_id is not None and control.account_id != account.id:
        return (
            f"the database {database} has traded account {control.account_id}, and the keys are of account "
            f"{account.id}: use that account's keys, or an empty database for this one"
        )
    then, now = control.account_made_at, account.made_at
    if then is not None and now is not None and abs(then - now) > SAME_MOMENT:
        return (
            f"the database {database} has traded an account {account.id} that was made at "
            f"{then:%Y-%m-%d %H:%M:%S} UTC, and the exchange has one of that id made at "
            f"{now:%Y-%m-%d %H:%M:%S} UTC: it was restarted or reset and has none of its orders: use "
            "an empty database for it"
        )
    return None


def check_owner(tx: Transaction, us: str, now: datetime, database: str) -> None:
    """Raises:
    StartRefused: another installation trades on the database (F08).
    """
    refusal = database_owner.refusal(tx.owner(), us, now, database)
    if refusal is not None:
        raise StartRefused(refusal)


def describe(venue: Venue, settings: ExchangeSettings, rules: dict[str, TradingRules]) -> dict[str, object]:
    """Where orders go, for the first log line."""
    tradable = sum(each.tradable for each in rules.values())
    return {"venue": venue.value, "at": urlsplit(settings.trading_url).netloc, "pairs": tradable}
