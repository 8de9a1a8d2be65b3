"""Cron, every minute: is main_app running and alive? Starts it again, within limits; then the mail."""

from dca.venv import needed

with needed():
    from dca import job, runtime
    from dca.guard import Guard
    from dca.job import Job
    from dca.review import review
    from dca.supervisor import Supervisor

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
    runtime.leave(job.run("watchdog", main, __doc__, seconds=SECONDS, needs_database=False))
