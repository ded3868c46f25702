"""The README keeps its word: its cheap commands run, its files exist, its tables are the stored results."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from backend.commands.arguments import parser
from backend.evaluation.report import SECTIONS, fill
from backend.settings import load_preset
from backend.workspace import DEMO

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def commands(language: str) -> list[str]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.S | re.M)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


RUN = commands("sh")  # run as they stand
SHOWN = [line for line in commands("text") if line.startswith("python -m backend")]  # too dear to run: only parsed


@pytest.mark.parametrize("line", RUN)
def test_cheap_commands_run(line: str) -> None:
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "backend"]
    if "--help" not in words and not (DEMO / "model" / "manifest.json").is_file():
        pytest.skip("no demo yet")
    done = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stderr
    if "--json" in words:
        assert len(json.loads(done.stdout)["items"]) == int(words[words.index("--top") + 1])


@pytest.mark.parametrize("line", [*RUN, *SHOWN])
def test_every_command_is_one_that_exists(line: str) -> None:
    words = shlex.split(line)[3:]
    if "--help" in words:
        return
    parser().parse_args(words)


def test_the_two_commands_are_what_ci_runs() -> None:
    lines = commands("text")
    assert "pip install -r requirements.txt && streamlit run app.py" in lines
    assert "pip install -r requirements.txt && python -m pytest" in lines
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert "python -m pytest" in script
    assert any(line.startswith("pip install") and line.endswith("-r requirements.txt") for line in script)


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:backend|pages|tests|assets|\.ci)/[\w./-]+)`", README))
    assert len(named) > 15
    shipped_later = {"assets/demo/", "assets/results/"}
    for name in sorted(named - shipped_later):
        assert (ROOT / name).exists(), name


def test_the_file_tree_names_every_room() -> None:
    tree = next(block for block in re.findall(r"^```text\n(.*?)^```", README, flags=re.S | re.M) if block.startswith("app.py"))
    for path in (ROOT / "backend").iterdir():
        if path.suffix == ".py" and path.stem not in ("__init__", "__main__", "frames"):
            assert path.name in tree, f"{path.name} is not in the README's file tree"
        if path.is_dir() and (path / "__init__.py").is_file():
            assert f"{path.name}/" in tree, f"{path.name}/ is not in the README's file tree"


def test_every_page_has_a_line() -> None:
    for path in (ROOT / "pages").glob("[!_]*.py"):
        assert re.search(rf"^\| {path.stem.replace('_', ' ')} \|", README, flags=re.I | re.M), path.name


def test_marked_sections_are_known_and_up_to_date() -> None:
    marked = re.findall(r"<!-- results:([\w-]+) -->", README)
    assert len(marked) == len(set(marked))
    assert set(marked) == set(SECTIONS)
    filled = fill(README)
    assert fill(filled) == filled
    if (
        (ROOT / "assets" / "results").is_dir()
        and "Not measured yet." not in README
        and re.search(r"results:quality -->\n\S", README)
    ):
        assert filled == README, "run `python -m backend.evaluation.report`"


def test_pictures_are_there() -> None:
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        if not (ROOT / "assets" / "pictures").is_dir():
            pytest.skip("no pictures yet")
        assert (ROOT / name).is_file(), name


def test_presets_are_what_the_readme_says() -> None:
    assert load_preset("tiny").train.contexts < load_preset().train.contexts
    for path in (ROOT / "backend" / "presets").glob("*.toml"):
        tomllib.loads(path.read_text("utf-8"))


def test_the_changelog_is_about_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
