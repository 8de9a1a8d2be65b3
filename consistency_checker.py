"""Cron, every five minutes: settles orders in flight, compares the database with Alpaca, both ways."""

from dca.runtime.venv import needed

with needed():
    from dca.alerts.review import review
    from dca.caretakers import job
    from dca.caretakers.consistency import Checker
    from dca.caretakers.job import Job
    from dca.runtime import script

TIME_LIMIT_SECONDS = 280.0
"""It waits GONE_SECONDS between two looks at a position that seems to be gone."""


def main(job: Job) -> None:
    try:
        Checker(job).run()
    finally:  # what kept it from its work may be what the mail is about
        if not job.dry_run:
            review(job.settings, job.clock, bids=job.bids)


if __name__ == "__main__":
    script.leave(job.run("consistency_checker", main, __doc__, seconds=TIME_LIMIT_SECONDS))
