"""Instruction SFT: the training loop, on accelerate, with checkpoints that survive a kill.

- A checkpoint is one safetensors file (weights, optimizer moments, step) written to a temporary name and renamed; no
  pickle is involved. Its name carries the fingerprint of data and settings, so that only the same run resumes from it.
- Samples depend on (seed, step) alone, so a resumed run sees the same batches as an uninterrupted one.
- Learning rate: linear warm-up, then cosine to zero over the steps planned. With `max_minutes` the plan is measured: after the
  first steps the number of steps that fit is fixed, and the schedule runs out over it.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from backend.disk import disk_error
from backend.memory import give_back_free_memory
from backend.model.batch import Losses
from backend.precision import bf16_pays
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import TrainSettings

_PLAN_STEPS = 20  # steps that are timed before `max_minutes` is turned into a number of steps


class Samples(Protocol):
    """What makes the batches; a batch depends on its numbers and the epoch alone."""

    def __len__(self) -> int:
        """Contexts in an epoch."""

    def batch(self, numbers: Sequence[int], epoch: int = 0) -> tuple[Any, Any]:
        """Inputs and supervision of some contexts, as the model's `losses` takes them."""

    def remember(self, numbers: Sequence[int], epoch: int = 0) -> None:
        """Catch up with a step that was done before a resume, where something is kept from step to step."""


@dataclass
class TrainingResult:
    """What the loop did: steps, seconds (over all sessions), and the curve (step, L_NTP, L_ID, learning rate); other recipes have losses
    of other names there; whether it was computed in bfloat16."""

    steps: int
    seconds: float
    curve: list[tuple[int, float, float, float]]
    bf16: bool


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights that train: what a checkpoint and the model stage hold. Frozen base weights are never among them."""
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


def learning_rate(step: int, total: int, settings: TrainSettings) -> float:
    """Linear warm-up, cosine decay to zero."""
    warm = max(1, int(settings.warmup * total))
    if step < warm:
        return settings.lr * (step + 1) / warm
    return settings.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))


def train_model(
    model: Any,
    sampler: Samples,
    settings: TrainSettings,
    seed: int,
    checkpoint: Path | None = None,
    report: Report = silent,
    cancel: CancelToken | None = None,
    on_step: Callable[[int], Any] | None = None,
    names: tuple[str, str] = ("L_NTP", "L_ID"),
) -> TrainingResult:
    """Train until the plan is done.

    Args:
        model: a module whose `losses(inputs, supervision)` gives `Losses` of what the sampler makes.
        checkpoint: file to save to and, where it exists, to resume from.
        on_step: called with each finished step (tests kill the process here).
        names: of the two parts of the loss, for the progress bar.

    Raises:
        Cancelled: asked to stop; the checkpoint holds all finished steps.
    """
    torch.manual_seed(seed)
    accelerator = Accelerator(cpu=not torch.cuda.is_available())  # a precision given here would hold for the whole process
    bf16 = settings.bf16 and bf16_pays()
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    small = {
        name for name in parameters if name.startswith("priors.") or name == "instruction.gates"
    }  # a few hundred weights: they bear larger steps
    decay = [p for name, p in parameters.items() if p.ndim >= 2 and name not in small]
    rest = [p for name, p in parameters.items() if p.ndim < 2 and name not in small]
    groups = [(decay, settings.weight_decay, 1.0), (rest, 0.0, 1.0), ([parameters[name] for name in sorted(small)], 0.0, 4.0)]
    optimizer = torch.optim.AdamW(
        [{"params": own, "weight_decay": decay_of, "speed": speed} for own, decay_of, speed in groups],
        lr=settings.lr,
        betas=(0.9, 0.98),
    )
    per_epoch = max(1, len(sampler) // settings.batch)
    total = per_epoch * settings.epochs
    state = _load(checkpoint, parameters, optimizer) if checkpoint else {}
    step, spent, total = int(state.get("step", 0)), float(state.get("seconds", 0.0)), int(state.get("total", total))
    planned = settings.max_minutes is None or "planned" in state
    began = time.perf_counter()
    curve: list[tuple[int, float, float, float]] = []
    model.train()

    def save() -> None:
        if checkpoint:
            header = {"step": step, "seconds": spent + time.perf_counter() - began, "total": total} | (
                {"planned": 1} if planned else {}
            )
            _save(checkpoint, parameters, optimizer, header)

    orders: dict[int, np.ndarray] = {}

    def contexts(at: int) -> tuple[list[int], int]:
        """Numbers of the contexts of a step, and its epoch."""
        epoch, place = divmod(at, per_epoch)
        if epoch not in orders:
            orders.clear()
            orders[epoch] = np.random.default_rng((seed, epoch)).permutation(len(sampler))
        return orders[epoch][place * settings.batch : (place + 1) * settings.batch].tolist(), epoch

    for earlier in range(step):  # resumed
        if cancel:
            cancel.check()
        sampler.remember(*contexts(earlier))
        report(Progress("catching up", earlier + 1, step, "texts of the steps done before"))
    while step < total:
        if cancel and cancel.cancelled:
            save()
            cancel.check()
        numbers, epoch = contexts(step)
        rate = learning_rate(step, total, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["speed"]
        torch.manual_seed(seed * 1_000_003 + step)  # dropout depends on the step alone
        batch, targets = sampler.batch(numbers, epoch)
        with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=bf16):
            losses: Losses = model.losses(batch, targets)
        accelerator.backward(losses.total)
        nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if not planned and step >= min(_PLAN_STEPS, total):
            pace = (time.perf_counter() - began) / step
            total = max(step, min(total, int((settings.max_minutes or 0) * 60 / pace)))
            planned = True
        if step % 10 == 0 or step == total:
            curve.append((step, losses.ntp, losses.id, rate))
            give_back_free_memory()
            report(Progress("training", step, total, metrics={names[0]: losses.ntp, names[1]: losses.id, "lr": rate}))
        if step % settings.checkpoint_steps == 0 and step < total:
            save()
        if on_step:
            on_step(step)
    save()
    model.eval()
    return TrainingResult(step, spent + time.perf_counter() - began, curve, bf16)


def _save(path: Path, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, header: dict[str, float]) -> None:
    tensors = {f"weight.{name}": parameter.detach() for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    temporary = path.with_suffix(".writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary, metadata={key: repr(value) for key, value in header.items()})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise disk_error(error, path.parent) from error


def _load(path: Path, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Restore weights and moments; an unreadable or foreign checkpoint is removed and training starts again."""
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            header = {key: float(value) for key, value in (file.metadata() or {}).items()}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        if any(tensors[f"weight.{name}"].shape != parameter.shape for name, parameter in parameters.items()):
            raise ValueError("of another model")
        for name, parameter in parameters.items():
            parameter.data.copy_(tensors[f"weight.{name}"])
            moments = {key: tensors.get(f"optimizer.{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
            if all(value is not None for value in moments.values()):
                optimizer.state[parameter] = moments
    except (SafetensorError, OSError, KeyError, RuntimeError, ValueError):
        path.unlink(missing_ok=True)
        return {}
    return header
