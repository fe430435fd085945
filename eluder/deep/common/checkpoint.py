"""Checkpoints: tensors as safetensors, the rest as JSON, in a folder that appears at once or not at all.

``FOLDER/step-000000001000/`` holds ``tensors.safetensors`` and ``state.json``, with the digests of both.
Loading executes nothing: neither format can hold code. A run that is killed while it saves leaves
the last finished checkpoint, and a hidden folder that the next save removes.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from eluder.core import checks

__all__ = ["checkpoints", "fill", "load_checkpoint", "save_checkpoint"]

FORMAT = 1
TENSORS, STATE = "tensors.safetensors", "state.json"


def save_checkpoint(
    folder: str | os.PathLike[str],
    step: int,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    keep: int = 2,
) -> Path:
    """Write a checkpoint and remove the oldest ones.

    Parameters
    ----------
    folder : path
        Where the checkpoints of a run are.
    step : int
        Number of steps done, >= 0.
    tensors : mapping of str to Tensor
        Parameters, moments of the optimisers, buffers, on any device.
    state : mapping
        Everything else, of what JSON can hold: numbers, text, lists and mappings of these.
    keep : int, default=2
        How many checkpoints stay, this one included.

    Returns
    -------
    Path
        The new one.

    Raises
    ------
    ValueError
        If `step` or `keep` is out of range, an entry is no tensor, or `state` is not plain data.

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_checkpoint(folder, 10, {"w": torch.ones(2)}, {"alpha": 0.5})
    ...     tensors, state = load_checkpoint(path)
    >>> path.name, tensors["w"].tolist(), state
    ('step-000000000010', [1.0, 1.0], {'alpha': 0.5})
    """
    step, keep = checks.integer("step", step, 0), checks.integer("keep", keep)
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise ValueError(f"tensors[{name!r}] must be a Tensor, got {type(x).__name__}")
    try:
        plain = json.dumps(dict(state))
    except (TypeError, ValueError) as error:
        raise ValueError(f"state must be plain data: {error}") from None
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".saving-*"):
        shutil.rmtree(left, ignore_errors=True)
    hidden, final = folder / f".saving-{os.getpid()}", folder / f"step-{step:012d}"
    hidden.mkdir()
    save_file({n: x.detach().cpu().contiguous().clone() for n, x in tensors.items()}, hidden / TENSORS)
    head = {"format": FORMAT, "step": step, "tensors": _digest((hidden / TENSORS).read_bytes())}
    body = json.dumps({**head, "state": plain, "digest": _digest((json.dumps(head) + plain).encode())})
    (hidden / STATE).write_text(body, encoding="utf-8")
    for name in (TENSORS, STATE):
        with open(hidden / name, "rb") as file:
            os.fsync(file.fileno())
    replaced = folder / f".saving-{os.getpid()}-replaced"
    if final.exists():
        os.replace(final, replaced)
    os.replace(hidden, final)
    shutil.rmtree(replaced, ignore_errors=True)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the finished checkpoints of a run, oldest first.

    Parameters
    ----------
    folder : path
        Where they are; none if it does not exist.

    Returns
    -------
    list of Path
        In the order of their steps.

    Examples
    --------
    >>> checkpoints("no/such/folder")
    []
    """
    return sorted(p for p in Path(folder).glob("step-*") if re.fullmatch(r"step-\d{12}", p.name))


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint.

    Parameters
    ----------
    path : path
        A checkpoint, or a folder of them: then the newest.

    Returns
    -------
    dict of str to Tensor
        The tensors, on the CPU.
    dict
        The rest.

    Raises
    ------
    ValueError
        If there is none, or it is not whole: the message names the file, what is wrong with it, and the
        checkpoint before it, if there is one.

    Examples
    --------
    >>> load_checkpoint("no/such/folder")
    Traceback (most recent call last):
    ValueError: no checkpoint in no/such/folder
    """
    path = Path(path)
    if not re.fullmatch(r"step-\d{12}", path.name):
        found = checkpoints(path)
        if not found:
            raise ValueError(f"no checkpoint in {path}")
        path = found[-1]
    try:
        return _read(path)
    except ValueError as error:
        earlier = [p for p in checkpoints(path.parent) if p.name < path.name]
        hint = f"; the one before it is {earlier[-1]}" if earlier else ""
        raise ValueError(f"{error}{hint}") from None


def fill(tensors: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Copy what a checkpoint holds into tensors of the same names and shapes, in place.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        What is filled, on any device.
    state : mapping of str to Tensor
        Of the checkpoint.

    Raises
    ------
    ValueError
        If one is missing or has another shape; nothing is changed then.

    Examples
    --------
    >>> import torch
    >>> fill({"mean": torch.zeros(2)}, {"mean": torch.zeros(1)})
    Traceback (most recent call last):
    ValueError: mean must have shape (2,), the checkpoint has (1,)
    """
    for name, x in tensors.items():
        if name not in state or state[name].shape != x.shape:
            got = tuple(state[name].shape) if name in state else "nothing"
            raise ValueError(f"{name} must have shape {tuple(x.shape)}, the checkpoint has {got}")
    for name, x in tensors.items():
        x.copy_(state[name])


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read and check one checkpoint."""
    state, tensors = path / STATE, path / TENSORS
    try:
        raw = json.loads(state.read_text(encoding="utf-8"))
        head = {key: raw[key] for key in ("format", "step", "tensors")}
        whole = raw["digest"] == _digest((json.dumps(head) + raw["state"]).encode())
    except FileNotFoundError:
        raise ValueError(f"{state} is missing") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{state} is damaged: {type(error).__name__}") from None
    if not whole:
        raise ValueError(f"{state} is damaged: its digest does not fit")
    if head["format"] != FORMAT:
        raise ValueError(f"{state} has format {head['format']}, this version reads {FORMAT}")
    try:
        data = tensors.read_bytes()
    except OSError as error:
        raise ValueError(f"{tensors} cannot be read: {type(error).__name__}") from None
    if _digest(data) != head["tensors"]:
        raise ValueError(f"{tensors} is damaged: its digest does not fit")
    try:
        return load_file(tensors), json.loads(raw["state"])
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{tensors} is damaged: {error}") from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
