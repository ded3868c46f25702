"""The app over the invented workbench, with codes and maps, for looking at pages: `streamlit run tests/pages/fake_app.py`.

Maps go to the cache folder: give it one of its own (`SIGMASCOPE_CACHE`).
"""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from backend import workbench  # noqa: E402
from tests.pages.fake import FakeWorkbench  # noqa: E402
from tests.pages.fake_codes import write_codes  # noqa: E402
from tests.pages.fake_space import fake_space  # noqa: E402


def opened(cls: type, path: object = None) -> FakeWorkbench:
    """Stands in for `Workbench.open`."""
    bench = write_codes(FakeWorkbench(delay=0.25))
    fake_space(bench)
    return bench


workbench.Workbench.open = classmethod(opened)
runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
