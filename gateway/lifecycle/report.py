"""What a run of the lifecycle rules did, or would do."""

from __future__ import annotations

from dataclasses import dataclass, field

EXPIRE = "Expiration"
EXPIRE_REPLACED = "NoncurrentVersionExpiration"
EXPIRE_MARKER = "ExpiredObjectDeleteMarker"
ABORT = "AbortIncompleteMultipartUpload"
MOVE = "Transition"
MOVE_REPLACED = "NoncurrentVersionTransition"
"""Actions by the names that rules give them."""
MAX_SHOWN = 1000
MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that was done, or would be."""

    action: str
    bucket: str
    key: str
    version_id: str
    """As S3 shows it; of an upload its id, empty in a bucket that was never versioned."""
    rule_id: str
    storage_class: str = ""
    """The class that the version was moved to."""


@dataclass(slots=True)
class LifecycleReport:
    """Counts of all that was done; of the actions themselves the first ``MAX_SHOWN``."""

    dry_run: bool
    at: int
    """The time that decided what was due, Unix milliseconds."""
    buckets: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    moved_bytes: int = 0
    locked: int = 0
    """Versions that a rule wants gone and a lock keeps."""
    kept: int = 0
    """Versions that a rule wants changed below a mount that takes no writes, or that no mount serves."""
    actions: list[Action] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, action: Action) -> None:
        self.counts[action.action] = self.counts.get(action.action, 0) + 1
        if len(self.actions) < MAX_SHOWN:
            self.actions.append(action)

    def complain(self, problem: str) -> bool:
        """Keep a problem; whether it is new, and there is room for it."""
        if problem in self.problems or len(self.problems) >= MAX_PROBLEMS:
            return False
        self.problems.append(problem)
        return True
