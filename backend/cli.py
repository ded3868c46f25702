"""The command line: `python -m backend build|train|evaluate|recommend|info|bench|experiment`.

- A contract that scripts rely on: with `--json` exactly one JSON object goes to standard output (one a line for `--instructions`), whatever
  the libraries print; exit code 0 = done, 1 = a user's error (one line on standard error), 2 = wrong usage, 130 = interrupted.
- This file knows exit codes and signals; arguments are in `arguments.py`, what a command does in `commands/`, how it looks in `bars.py`.
- Nothing heavy is imported before the arguments are known to make sense: `--help` and most errors answer without torch.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import TextIO

from backend.commands.arguments import parser
from backend.errors import Cancelled, SigmascopeError
from backend.progress import CancelToken


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; None = the process's own.

    Returns:
        the exit code.
    """
    cancel = CancelToken()
    try:
        args = parser().parse_args(argv)
    except SystemExit as done:  # --help (0) or wrong usage (2)
        return int(done.code or 0)
    with _signals(cancel) as received:
        try:
            with _own_stdout(args.json) as out:
                from backend import commands

                commands.run(args, out, cancel)
        except SigmascopeError as error:
            return _fail(str(error))
        except (Cancelled, KeyboardInterrupt):
            number = received[0] if received else signal.SIGINT
            _fail(f"stopped by {signal.Signals(number).name}. {_how_to_go_on(args)}")
            return 128 + number
        except BrokenPipeError:  # whoever read standard output has closed it (`… | head`)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            if error.errno is None:
                raise
            from backend.workspace import disk_error  # pandas is behind it: not needed for --help

            return _fail(str(disk_error(error, Path(error.filename or getattr(args, "workspace", None) or "."))))
    return 0


def _fail(text: str) -> int:
    """Say one line on standard error, whatever the text holds."""
    line = "".join(mark if mark.isprintable() else " " for mark in text)
    print("error:", " ".join(line.split()), file=sys.stderr, flush=True)
    return 1


def _how_to_go_on(args: argparse.Namespace) -> str:
    again = f"python -m backend {args.command} --workspace {args.workspace}"
    if args.command == "train":
        return f"The steps done are kept: add --resume to the same command to go on (`{again} --resume …`)"
    if args.command == "experiment":
        return "What is finished is kept: run the same command again to go on"
    if args.command == "build":
        return f"Finished stages are kept: run the same command again to go on (`{again} …`)"
    return "Nothing was changed"


@contextmanager
def _signals(cancel: CancelToken) -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM asks the work to stop at its next step, the second stops it at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield received
        return

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt
        cancel.cancel()
        print("stopping after this step; once more to stop at once", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _own_stdout(json_only: bool) -> Iterator[TextIO]:
    """Where the command writes its answer. With `json_only` all other output, compiled libraries' too, goes to standard error."""
    if not json_only:
        yield sys.stdout
        return
    out = sys.stdout
    try:
        real = out.fileno() == 1
    except (OSError, ValueError):  # a test's stand-in
        real = False
    if not real:
        with redirect_stdout(sys.stderr):
            yield out
        return
    out.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr), os.fdopen(os.dup(saved), "w", encoding="utf-8") as own:
            yield own
    finally:
        os.dup2(saved, 1)
        os.close(saved)
