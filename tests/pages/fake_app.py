"""The app over the invented workbench, for looking at pages: `streamlit run tests/pages/fake_app.py`."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from backend import workbench  # noqa: E402
from tests.pages.fake import FakeWorkbench  # noqa: E402

workbench.Workbench.open = classmethod(lambda cls, path=None: FakeWorkbench(delay=0.25))
runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
