"""The summary at the end of a run: clusters, cost, quarantined frames, and the next command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from shlex import quote
from textwrap import indent

from pipelines.labelling.jobs import Summary
from pipelines.labelling.request import Request
from pointsam.base.tables import text_table
from pointsam.store.reader import Labels


@dataclass(frozen=True)
class Closing:
    """The summary of a call.

    Args:
        summaries: one of each stage that ran.
        clusters: class name -> (clusters, points) in the whole output folder, empty if only masks were made.
        next_command: the command to run next.
        failures: frame_id -> code, message and hint of every quarantined frame.
    """

    summaries: tuple[Summary, ...]
    clusters: dict[str, tuple[int, int]]
    next_command: str
    failures: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return {**asdict(self), "summaries": [asdict(summary) for summary in self.summaries]}

    def text(self) -> str:
        """For the terminal."""
        blocks = []
        if self.clusters:
            blocks.append(text_table(("class", "clusters", "points"), [(n, *c) for n, c in self.clusters.items()]))
        blocks += [_cost(summary) for summary in self.summaries]
        if self.failures:
            lines = [f"  frame {frame_id}: {indent(why, '  ').lstrip()}" for frame_id, why in self.failures.items()]
            head = f"{len(lines)} frames quarantined; correct them, then --retry-failed (changed tables: a new --out):"
            blocks.append("\n".join([head, *lines[:20]]))
        return "\n\n".join([*blocks, f"next: {self.next_command}"])


def closing(request: Request, summaries: Sequence[Summary]) -> Closing:
    """Summarise what the stages wrote.

    Args:
        request: the call.
        summaries: one of each stage that ran.
    """
    clusters: dict[str, tuple[int, int]] = {}
    next_command = (
        f"pointsam-label clusters {quote(str(request.data.root))} --out {quote(str(request.out))}{_options(request)}"
    )
    if summaries[-1].stage == "clusters":
        labels = Labels(request.out)
        clusters = dict.fromkeys(labels.taxonomy.names, (0, 0))
        first = ""
        for frame_id, name, size in labels.cluster_sizes():
            first = first or frame_id
            count, points = clusters[name]
            clusters[name] = (count + 1, points + size)
        next_command = f"pointsam-label inspect {quote(str(request.out))} {first or 0} --png frame.png"
        next_command += f" --masks-from {quote(str(request.masks_from))}" if request.masks_from else ""
    # The first stage that quarantined a frame has the cause.
    failures = {frame_id: why for summary in reversed(summaries) for frame_id, why in summary.failures.items()}
    return Closing(tuple(summaries), clusters, next_command, failures)


def _options(request: Request) -> str:
    """Options that the next stage needs for the same data and recipe."""
    recipe = None if request.config.recipe == "default" else request.config.recipe
    given = {"dataset": request.data.adapter, "version": request.data.version, "recipe": recipe}
    return "".join(f" --{name} {value}" for name, value in given.items() if value is not None)


def _cost(summary: Summary) -> str:
    if summary.units == 0:
        done = f"{summary.stage}: nothing left to do"
    else:
        steps = ", ".join(f"{name} {spent:.2f}" for name, spent in summary.seconds.items())
        unit = "images" if summary.stage == "masks" else "frames"
        done = (
            f"{summary.stage}: {summary.units} {unit} in {summary.wall_seconds:.1f} s "
            f"({summary.units / summary.wall_seconds:.2f} per second), largest worker {summary.peak_mb:.0f} MB\n"
            f"  seconds by step, all workers: {steps}"
        )
    left = f"\n  {summary.shards_left} shards are left to other --shard calls" if summary.shards_left else ""
    return done + left
