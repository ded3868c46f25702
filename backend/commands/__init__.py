"""What the commands of the command line do, one file a kind of command.

Heavy libraries are imported inside the functions, after the request is known to make sense: most errors answer without torch.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from typing import TextIO

from backend.progress import CancelToken

_MODULES: Mapping[str, str] = {  # command → module that holds the function of the same name
    "build": "making", "train": "making", "evaluate": "measuring", "bench": "measuring", "recommend": "asking", "info": "looking",
    "experiment": "experimenting",
}  # fmt: skip


def run(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """Run the command that was parsed.

    Args:
        out: where the answer goes.

    Raises:
        SigmascopeError: the request cannot be served; says what, where and how to mend it.
        Cancelled: interrupted.
    """
    if args.command not in ("recommend", "info"):  # what measures or makes says what it was made by
        from backend.workspace import running_commit

        running_commit()
    module = importlib.import_module(f"backend.commands.{_MODULES[args.command]}")
    getattr(module, args.command)(args, out, cancel)
