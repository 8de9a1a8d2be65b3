"""The floor of quotes in: alpaca-py's own stream, raw, with a handler that does nothing at all.

python -m bench.quotes_floor URL SYMBOL...
"""

import sys
from typing import Any

from alpaca.data.live.crypto import CryptoDataStream


async def ignore(_: Any) -> None:
    """Every quote ends here."""


def main() -> None:
    stream = CryptoDataStream("key", "secret", raw_data=True, url_override=sys.argv[1])
    stream.subscribe_quotes(ignore, *sys.argv[2:])
    stream.run()


if __name__ == "__main__":
    main()
