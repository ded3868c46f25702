"""Tables of variants: what ships can be trained, a budget is a factor, one's own file is read, nonsense is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import RequestError
from backend.experiments.making import folder_name
from backend.experiments.tables import Variant, read_table, table_names
from backend.settings import Settings


@pytest.mark.parametrize("name", table_names())
def test_shipped_tables_are_possible_and_differ_from_the_whole(name: str) -> None:
    variants = read_table(name)
    assert variants[0].name == "SIGMA"
    made = [variant.settings(Settings()) for variant in variants]
    assert made[0] == Settings()
    assert len({each.model_dump_json() for each in made}) == len(made)
    assert len({folder_name(variant.name) for variant in variants}) == len(variants)
    assert all(folder_name(variant.name) for variant in variants)


def test_the_paper_s_ablations_are_among_them() -> None:
    by_name = {variant.name: variant for variant in read_table("ablations")}
    sid, ids = (by_name[name].settings(Settings()).model for name in ("SID only", "ID only"))
    assert (sid.soft_token, sid.prefix_levels) == (False, 4)
    assert (ids.soft_token, ids.prefix_levels) == (True, 0)
    assert by_name["without grounding"].settings(Settings()).grounding.views == ()
    views = by_name["without the semantic view"].settings(Settings()).grounding.views
    assert views == ("collaborative", "knowledge")
    images = Settings(grounding={"views": ("collaborative", "semantic", "visual")})
    assert by_name["without the semantic view"].settings(images).grounding.views == ("collaborative", "visual")


def test_a_budget_is_a_factor_on_contexts_or_minutes() -> None:
    base, half = Settings(train={"contexts": 1001}), Variant("half", budget=0.5)
    assert half.settings(base).train.contexts == 500
    timed = half.settings(base, minutes=8)
    assert timed.train.max_minutes == 4
    assert timed.train.contexts >= 100_000  # the minutes bound it
    assert half.settings(Settings(train={"max_minutes": 3.0})).train.max_minutes == 1.5


def test_only_keeps_the_whole_system() -> None:
    assert [variant.name for variant in read_table("ablations", ["ID only"])] == ["SIGMA", "ID only"]
    with pytest.raises(RequestError, match="no variant 'nothing'"):
        read_table("ablations", ["nothing"])


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[wide]\nbudget = 2\nheadline = true\nmodel.hidden = 512\n["no visual"]\nwithout = "visual"\n')
    whole, wide, visual = read_table(str(file))
    assert whole == Variant("SIGMA")
    assert wide == Variant("wide", {"model": {"hidden": 512}}, 2.0, True)
    assert visual.settings(Settings()) == Settings()  # a view that is not there cannot be left out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a\n", "no table can be read"),
        ("a = 1\n", "'a' is no variant"),
        ("[a]\nbudget = 0\n", "'a' is no variant"),
        ("[a]\nmodel = 3\n", "sets 'model'"),
    ],
)
def test_a_bad_table_is_one_clear_error(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(RequestError, match=words):
        read_table(str(file))


def test_an_impossible_setting_names_the_variant() -> None:
    with pytest.raises(RequestError, match=r"variant 'odd': model\.hiden"):
        Variant("odd", {"model": {"hiden": 3}}).settings(Settings())
    with pytest.raises(RequestError, match="impossible setting"):
        Variant("odd", {"modle": {"hidden": 3}}).settings(Settings())
    with pytest.raises(RequestError, match="variant 'odd': seed"):  # no section
        Variant("odd", {"seed": {"hidden": 3}}).settings(Settings())
    with pytest.raises(RequestError, match="unknown table"):
        read_table("nothing")
