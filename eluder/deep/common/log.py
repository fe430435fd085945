"""The log of a run: metrics and finished episodes as JSON lines, evaluations as CSV, TensorBoard if wanted.

Metrics stay on their device until they are due; each line carries the steps of one seed, so a resumed run
can cut the files back to its checkpoint.
"""

import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from eluder.core.types import Array, IntArray

__all__ = ["Log"]

HEADER = ("step", "seed", "episode", "return", "length")


class Log:
    """Writes what happens in a run.

    Parameters
    ----------
    out : Path or None
        Folder; nothing is written without one.
    seeds : sequence of int
        The seeds, for the lines.
    tensorboard : bool, default=False
        Whether to write TensorBoard's event files in ``tensorboard/`` too.

    Raises
    ------
    ValueError
        If TensorBoard is wanted but not installed, or there is no folder for it.

    Examples
    --------
    >>> log = Log(None, [0])
    >>> log.episode(1000, 0, total=-200.0, length=200)
    >>> log.close()
    """

    def __init__(self, out: Path | None, seeds: Sequence[int], *, tensorboard: bool = False) -> None:
        self.seeds, self.out = list(seeds), out
        self.lines: list[str] = []
        self.rows: list[tuple[Any, ...]] = []
        self.board: Any = None
        if tensorboard:
            self.board = _board(out)

    def cut(self, step: int) -> None:
        """Remove what lies after a step: it will be done again."""
        if self.out is None:
            return
        _rewrite(self.out / "log.jsonl", lambda line: json.loads(line)["step"] <= step)
        self.cut_evaluations(step)

    def cut_evaluations(self, step: int) -> None:
        """Remove the evaluations after a step."""
        if self.out is None:
            return
        stays = lambda line: line.startswith("step") or int(line.split(",")[0]) <= step  # noqa: E731
        _rewrite(self.out / "evaluations.csv", stays)

    def metrics(self, step: int, metrics: Mapping[str, Tensor]) -> None:
        """Log one number per seed and name."""
        values = {name: x.detach().reshape(-1).tolist() for name, x in sorted(metrics.items())}
        for i, seed in enumerate(self.seeds):
            self._line(step, seed, {name: x[i] for name, x in values.items()})
        self.flush()

    def episode(self, step: int, i: int, total: float, length: int) -> None:
        """Log a finished episode of the i-th seed."""
        self._line(step, self.seeds[i], {"episode_return": total, "episode_length": length})

    def evaluation(self, step: int, returns: Array, lengths: IntArray) -> None:
        """Log the episodes of an evaluation, shape (N, episodes)."""
        for i, seed in enumerate(self.seeds):
            for k, (total, length) in enumerate(zip(returns[i].tolist(), lengths[i].tolist())):
                self.rows.append((step, seed, k, total, length))
            if self.board is not None:
                self.board.add_scalar(f"evaluation/seed_{seed}", float(returns[i].mean()), step)
        self.flush()

    def _line(self, step: int, seed: int, values: Mapping[str, Any]) -> None:
        if self.out is not None:
            self.lines.append(json.dumps({"step": step, "seed": seed, **values}))
        if self.board is not None:
            for name, x in values.items():
                self.board.add_scalar(f"{name}/seed_{seed}", x, step)

    def flush(self) -> None:
        """Write what has been collected."""
        if self.out is not None:
            if self.lines:
                with open(self.out / "log.jsonl", "a", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in self.lines)
            if self.rows:
                table = self.out / "evaluations.csv"
                new = not table.exists() or table.stat().st_size == 0
                with open(table, "a", encoding="utf-8", newline="") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerows([HEADER, *self.rows] if new else self.rows)
        self.lines, self.rows = [], []

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        if self.board is not None:
            self.board.close()


def _board(out: Path | None) -> Any:
    """Open TensorBoard's writer."""
    if out is None:
        raise ValueError("tensorboard needs a folder: give out")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(
            f"tensorboard is not installed: pip install 'eluder[tensorboard]' ({error})"
        ) from None
    return SummaryWriter(str(out / "tensorboard"))


def _rewrite(file: Path, stays: Callable[[str], bool]) -> None:
    """Keep the whole lines of a file that `stays` accepts; a line cut short by a kill goes too."""
    if not file.exists():
        return
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    if text and not text.endswith("\n"):
        lines.pop()
    kept = []
    for i, line in enumerate(lines):
        try:
            kept += [f"{line}\n"] if stays(line) else []
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{file} is damaged: line {i + 1} has no step") from None
    hidden = file.with_name(f".{file.name}-{os.getpid()}")
    hidden.write_text("".join(kept), encoding="utf-8")
    os.replace(hidden, file)
