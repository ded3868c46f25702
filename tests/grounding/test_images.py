"""The visual view: image vectors and generated pictures, through a tiny random CLIP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from backend.cli import main
from backend.data import schema as c
from backend.data.schema import Dataset
from backend.errors import TableError, WeightsError
from backend.grounding import images, pairs
from backend.workspace import Workspace
from tests.grounding.both_ways import checked
from tests.shop import SETTINGS


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random CLIP, saved as transformers saves them."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    tower = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**tower, "vocab_size": 50, "max_position_embeddings": 8},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def paint(folder: Path, names: list[str], colour: tuple[int, int, int], seed: int = 0) -> None:
    """Pictures of nearly one colour."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for name in names:
        pixels = np.clip(np.array(colour) + rng.integers(-6, 7, (40, 48, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")


def test_pictures_become_vectors(clip: str, tmp_path: Path) -> None:
    paint(tmp_path / "shop", ["a1", "a2", "a3"], (230, 20, 20))
    paint(tmp_path / "shop", ["b1", "b2"], (10, 40, 220), seed=1)
    (tmp_path / "shop" / "stranger.png").write_bytes(b"not looked at: no item has this name")
    ids = ["a1", "b1", "none", "a2", "b2", "a3"]
    vectors = images.image_vectors(str(tmp_path / "shop"), ids, clip)
    assert vectors.shape == (6, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 1, 1, 1], atol=1e-5)
    cosine = vectors @ vectors.T
    red, blue = [0, 3, 5], [1, 4]
    assert cosine[np.ix_(red, red)].min() > cosine[np.ix_(red, blue)].max()
    again = images.image_vectors(str(tmp_path / "shop"), ids, clip)
    np.testing.assert_allclose(vectors, again, atol=1e-6)


def test_lookalikes_are_pairs() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(4, 12), 10, axis=0)
    vectors = centres + rng.normal(0, 0.08, centres.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    vectors[7] = 0  # no image
    view = pairs.visual(vectors, seed=7)
    for a, b in checked(view):
        assert 7 not in (a, b)
        assert a // 10 == b // 10
        assert vectors[a] @ vectors[b] >= 0.6
    assert len(pairs.visual(None, 7).train) == len(pairs.visual(np.zeros((5, 4), np.float32), 7).train) == 0


def test_vectors_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    pd.DataFrame({"item_id": ["x", "y", "z"], "vector": [[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]}).to_parquet(path)
    np.testing.assert_allclose(images.image_vectors(str(path), ["y", "w", "x"], None), [[0, 1], [0, 0], [0.6, 0.8]], atol=1e-6)


def test_what_cannot_be_used_is_said(clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TableError, match="no such"):
        images.image_vectors(str(tmp_path / "nowhere"), ["a"], clip)
    with pytest.raises(TableError, match="no image of any item"):
        images.image_vectors(str(tmp_path), ["a"], clip)
    bad = tmp_path / "bad.parquet"
    pd.DataFrame({"item_id": ["x", "y"], "vector": [[1.0, 0.0], [1.0]]}).to_parquet(bad)
    with pytest.raises(TableError, match="row 2"):
        images.image_vectors(str(bad), ["x", "y"], None)
    pd.DataFrame({"item_id": ["x"]}).to_parquet(bad)
    with pytest.raises(TableError, match="columns"):
        images.image_vectors(str(bad), ["x"], None)
    folder = tmp_path / "shop"
    paint(folder, ["a"], (1, 2, 3))
    with pytest.raises(WeightsError, match="no image encoder"):
        images.image_vectors(str(folder), ["a"], None)
    with pytest.raises(WeightsError, match="cannot be opened"):
        images.image_vectors(str(folder), ["a"], str(tmp_path / "nothing"))
    (folder / "b.png").write_bytes(b"no picture")
    with pytest.raises(TableError, match=r"b\.png"):
        images.image_vectors(str(folder), ["a", "b"], clip)
    monkeypatch.setattr(images, "MAX_PIXELS", 10)
    with pytest.raises(TableError, match="pixels"):
        images.image_vectors(str(folder), ["a"], clip)


def test_a_workspace_with_images(built: Path, tiny_dataset: Dataset, clip: str, tmp_path: Path) -> None:
    """Pictures coloured by category: grounding trains on the view, and the item store holds the vectors."""
    folder = tmp_path / "workspace"
    shutil.copytree(built, folder)
    rng = np.random.default_rng(3)
    for number, (_, rows) in enumerate(tiny_dataset.items.groupby(c.CATEGORY)):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        paint(tmp_path / "pictures", rows[c.ITEM].tolist(), (colour[0], colour[1], colour[2]), seed=number)
    source = json.loads((folder / "dataset" / "manifest.json").read_text())["settings"]["path"]
    changes = [f"grounding.images={tmp_path / 'pictures'}", f"grounding.image_encoder={clip}"]
    options = [part for change in changes for part in ("--set", change)]
    assert main(["build", "--source", "tables", "--path", source, "--workspace", str(folder), *SETTINGS, *options]) == 0
    stage = Workspace.open(folder).stage("grounding")
    vectors = stage.arrays("vectors")["image"].astype(np.float32)
    assert vectors.shape == (tiny_dataset.n_items, 16)
    view = next(view for view in stage.manifest["metrics"]["views"] if view["view"] == "visual")
    assert view["train_pairs"] > 0
    assert view["held_pairs"] > 0
    assert stage.manifest["metrics"]["image"] == f"{tiny_dataset.n_items} items have one"
    assert main(["train", "--workspace", str(folder), *SETTINGS, *options]) == 0
