"""Cron, every minute: is main_app running and alive? Starts it again, within limits; then the mail."""

from dca.runtime.venv import needed

with needed():
    from dca.alerts.review import review
    from dca.caretakers import job
    from dca.caretakers.job import Job
    from dca.runtime import script
    from dca.watchdog.process import Supervisor
    from dca.watchdog.run import Guard

SECONDS = 110.0
"""15 to be sure that it hangs, 20 for SIGTERM, 20 for SIGKILL and the lock, 10 for the start; then exchange,
database and mail."""


def main(job: Job) -> None:
    guard = Guard(job, Supervisor(job.settings, job.clock))
    guard.watch()
    if not job.dry_run:
        guard.ask_for_keys()
        review(job.settings, job.clock, guard.findings, guard.judged, bids=job.bids)


if __name__ == "__main__":
    script.leave(job.run("watchdog", main, __doc__, seconds=SECONDS, needs_database=False))
