"""What to do about a stream in each state of its application, when nothing else is the matter with it."""

from datetime import datetime, timedelta

from tweet_dags import pods
from tweet_dags.actions import Action, Kind, Limits, Step, do, nothing, text
from tweet_dags.failures import just_failed, last_error, too_many
from tweet_dags.seen import HASH, Answer, Heard, Seen, get, spec_hash

# States of an application that the operator submits, or is about to: a write could make it submit twice.
_SUBMITTING = {"", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUCCEEDING", "SUSPENDING"}
# States that need a driver, and are left by the operator as soon as it sees that there is none.
_WITH_DRIVER = {"SUBMITTED", "RUNNING", "COMPLETED", "FAILED"}
KNOWN = _SUBMITTING | _WITH_DRIVER | {"SUSPENDED", "FAILING", "SUBMISSION_FAILED"}

_WITHOUT_DRIVER = timedelta(seconds=60)
_OLD_DRIVER = timedelta(seconds=60)
_PENDING = timedelta(minutes=5)
_MAX_ATTEMPTS = 10
# What a look may take until it writes.
_SOON = timedelta(seconds=10)


def under_way(seen: Seen) -> bool:
    """Tell whether the operator submits the application, or may do so before a write arrives."""
    if seen.state == "SUSPENDED":
        return not seen.suspended
    if seen.state == "SUBMISSION_FAILED":
        due = _retried_at(seen)
        return due is None or seen.now + _SOON >= due
    return seen.state in _SUBMITTING or (seen.driver is None and seen.state in _WITH_DRIVER)


def submitting(seen: Seen) -> Step:
    """Let the operator do it; where nothing comes of it, wake the operator once, and then make the application anew.

    Without a driver for so long, the operator is not at it: it is down, or has forgotten the application.
    """
    name = seen.state or "NEW"
    # The state stays as it is while the operator tries again, and its error is what a person needs.
    failed = name == "SUBMISSION_FAILED"
    name = f"{name} ({last_error(seen)})" if failed else name
    if seen.driver is not None:
        return nothing(f"{name}: the operator is at it", alert=failed)
    if (waited := seen.waited("woken")) is not None:
        if waited < _WITHOUT_DRIVER:
            return nothing(f"{name} without a driver: the operator was woken {text(waited)} ago", "woken", failed)
        return do(Kind.DELETE, f"{name} without a driver, though the operator was woken: made anew", alert=failed)
    waited = seen.waited("without a driver")
    if waited is None or waited < _WITHOUT_DRIVER:
        return nothing(f"{name}, no driver yet", "without a driver", failed)
    return do(Kind.WAKE, f"{name} without a driver for {text(waited)}: the operator is woken", "woken", failed)


def by_state(seen: Seen, limits: Limits) -> Step:
    match seen.state:
        case "SUBMITTED":
            return _pending(seen, limits)
        case "FAILING" | "SUBMISSION_FAILED":
            return _failing(seen, limits)
        case "RUNNING":
            return _running(seen, limits)
        case _:
            # COMPLETED and FAILED: a stream has no end, and the operator leaves it there.
            return do(Kind.DELETE, f"{seen.state}: made anew; {last_error(seen)}")


def _pending(seen: Seen, limits: Limits) -> Step:
    reason = pods.pending(seen.driver or {})
    if too_many(seen, limits) and just_failed(seen):
        return _left_down(seen)
    waited = seen.waited("pending") or timedelta()
    return nothing(f"the driver is pending: {reason}", "pending", alert=waited > _PENDING)


def _failing(seen: Seen, limits: Limits) -> Step:
    if too_many(seen, limits):
        return _left_down(seen)
    tried = ("executionAttempts", "submissionAttempts")
    attempts = max(int(get(seen.live, "status", name) or 0) for name in tried)
    if attempts > _MAX_ATTEMPTS:
        # The operator waits longer with each attempt, and never counts from one again.
        return do(Kind.DELETE, f"{seen.state} after {attempts} attempts: made anew; {last_error(seen)}")
    return nothing(f"{seen.state}: {last_error(seen)}", alert=seen.state == "SUBMISSION_FAILED")


def _running(seen: Seen, limits: Limits) -> Step:
    if get(seen.driver, "metadata", "deletionTimestamp"):
        return nothing("the driver is being ended")
    if get(seen.driver, "metadata", "labels", HASH) != spec_hash(seen.rendered):
        waited = seen.waited("old driver")
        if waited is None or waited < _OLD_DRIVER:
            return nothing("the driver is that of another spec", "old driver")
        return do(Kind.DELETE, f"for {text(waited)} the driver is that of another spec: made anew")
    answer = seen.answer
    if answer is None:
        return nothing("the driver has no address yet")
    if answer.heard is Heard.ANSWER:
        return _answered(seen, answer, limits)
    # Refusing and keeping silent are one: a driver that hangs may do both.
    condition = "unreachable" if answer.heard is Heard.UNREACHABLE else "no answer"
    waited = seen.waited(condition) or timedelta()
    if answer.heard is Heard.UNREACHABLE:
        # The network's fault is not the driver's. Whether it stands still, the kubelet asks it too, on its own node.
        says = f"the driver cannot be asked ({answer.says}); nothing is done to it: look at the network policies"
        return nothing(says, condition, alert=waited > limits.stuck)
    if waited < limits.stuck:
        return nothing(f"the driver does not answer yet: {answer.heard.value}", condition)
    return _ended(seen, limits, f"for {text(waited)} the driver has not answered ({answer.heard.value})")


def _answered(seen: Seen, answer: Answer, limits: Limits) -> Step:
    # A stream without input says so every few seconds, and that counts as progress.
    old = [f"{name} for {age:.0f} s" for name, age in answer.ages.items() if age > limits.stuck.total_seconds()]
    if old:
        return _ended(seen, limits, f"not advancing: {', '.join(old)}")
    if not answer.batches and too_many(seen, limits) and just_failed(seen):
        return _left_down(seen)
    batches = ", ".join(f"{name} at batch {batch}" for name, batch in answer.batches.items())
    return nothing(f"advancing: {batches or 'starting'}")


def _ended(seen: Seen, limits: Limits, says: str) -> Step:
    return _left_down(seen, says) if too_many(seen, limits) else do(Kind.END_DRIVER, f"{says}; the driver is ended")


def _left_down(seen: Seen, now: str = "") -> Step:
    failures = f"failed {len(seen.memory.failures)} times within an hour"
    says = f"{failures}{now and f', and now {now}'}: left down; {last_error(seen)}"
    return Action(Kind.LEAVE_DOWN, says, alert=True), ""


def _retried_at(seen: Seen) -> datetime | None:
    """Return when the operator submits again what it could not submit: attempts times the interval after the last."""
    last = get(seen.live, "status", "lastSubmissionAttemptTime")
    interval = get(seen.live, "spec", "restartPolicy", "onSubmissionFailureRetryInterval")
    attempts = get(seen.live, "status", "submissionAttempts")
    if not (last and interval and attempts):
        return None
    return datetime.fromisoformat(last) + timedelta(seconds=int(interval) * int(attempts))
