"""Settings with nothing wrong in them, for tests that change a value."""

from dca.runtime import settings
from dca.runtime.settings import Settings

PRIVATE = 0o600

GOOD = {
    "APCA_API_KEY_ID": "PKTESTKEY",
    "APCA_API_SECRET_KEY": "hushhush",
    "APCA_API_BASE_URL": "https://paper-api.alpaca.markets",
    "DB_HOST": "localhost",
    "DB_USER": "dca",
    "DB_PASSWORD": "sesame",
    "DB_NAME": "dca_bot_db",
    "DB_PORT": "3306",
}
MAIL = {
    "ALERT_EMAIL_SENDER": "bot@example.com",
    "ALERT_EMAIL_RECEIVER": "you@example.com",
    "ALERT_EMAIL_SMTP_SERVER": "smtp.example.com",
    "ALERT_EMAIL_SMTP_PORT": "2525",
    "ALERT_EMAIL_SMTP_USER": "bot",
    "ALERT_EMAIL_SMTP_PASSWORD": "mailsecret",
}


def parsed(mode: int | None = PRIVATE, /, **changes: str) -> Settings:
    return settings.parse({**GOOD, **changes}, env_file_mode=mode)


def about(found: list[str]) -> list[str]:
    """The name that each problem begins with."""
    return [text.split()[0] for text in found]
