"""Cron, every five minutes: settles orders in flight, compares the database with Alpaca, both ways."""

import sys

from dca import job
from dca.checker import Checker
from dca.job import Job

TIME_LIMIT_SECONDS = 280.0
"""It waits GONE_SECONDS between two looks at a position that seems to be gone."""


def main(job: Job) -> None:
    Checker(job).run()


if __name__ == "__main__":
    sys.exit(job.run("consistency_checker", main, __doc__, seconds=TIME_LIMIT_SECONDS))
