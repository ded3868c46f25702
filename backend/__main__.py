"""`python -m backend …`: see `backend/cli.py`."""

from __future__ import annotations

import os
import sys
import warnings

# libraries have a lot to say; what matters to a user is said by the commands themselves
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
warnings.filterwarnings("ignore")

from backend.cli import main  # noqa: E402 (after the libraries have been told to be quiet)

if __name__ == "__main__":
    sys.exit(main())
