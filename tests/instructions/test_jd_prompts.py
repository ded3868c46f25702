"""The prompts of the recipe `jd`: the article's own wordings, slots, moments, languages."""

from __future__ import annotations

import pandas as pd
import pytest

from backend.instructions import jd_prompts as prompts
from backend.instructions.jd_prompts import Language, Task, jd_wordings
from backend.instructions.templates import slots_of

TASKS: tuple[Task, ...] = ("next", "title_of", "item_of")
LANGUAGES: tuple[Language, ...] = ("en", "zh")


def test_the_articles_own_prompts_come_first_in_chinese() -> None:
    assert (
        jd_wordings("next", "zh")[0]
        == "该用户为{profile}。用户已按时间顺序点击了如下商品:{history},你能预测用户下一个可能点击的商品吗?"
    )
    assert jd_wordings("title_of", "zh")[0] == "商品{sid}的标题是什么?"
    assert jd_wordings("item_of", "zh")[0] == '哪个商品的标题是"{title}"?'


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("task", TASKS)
def test_every_wording_has_the_slots_of_its_task(task: Task, language: Language) -> None:
    needed, allowed = {
        "next": ({"history"}, {"history", "profile", "context"}),
        "title_of": ({"sid"}, {"sid"}),
        "item_of": ({"title"}, {"title"}),
    }[task]
    wordings = jd_wordings(task, language)
    assert len(wordings) >= 2
    assert len(set(wordings)) == len(wordings)
    for wording in wordings:
        assert needed <= set(slots_of(wording)) <= allowed, wording


def test_a_prompt_is_text_and_items_in_order() -> None:
    pieces = prompts.next_prompt("{profile} bought {history}. {context} Next?", "en", "Two adults", [4, 7, 7], "It is Monday.")
    assert pieces == ["Two adults. bought ", 4, 7, 7, ". It is Monday. Next?"]
    assert prompts.title_prompt("Item {sid} is called:", 3) == ["Item ", 3, " is called:"]
    assert prompts.item_prompt('"{title}"?', "Milk {sid}") == ['"Milk {sid}"?'], "a title's braces are text"
    assert prompts.fill("{history}", {"history": []}) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_profile_somebody_is_meant(language: Language) -> None:
    pieces = prompts.next_prompt("{profile}|{history}", language, "", [1], "")
    assert isinstance(pieces[0], str)
    assert len(pieces[0]) > 2


def test_moments() -> None:
    time = pd.Timestamp("2017-10-30 18:05")
    assert prompts.moment(time, "en") == "It is Monday, evening, in October."
    assert prompts.moment(time, "en", "436") == "It is Monday, evening, in October, at store 436."
    assert prompts.moment(time, "zh") == "现在是十月星期一晚上。"
    assert prompts.moment(pd.Timestamp("2017-01-01 00:00"), "en") == "It is Sunday, night, in January."
    assert prompts.moment(None, "en") == prompts.moment(None, "zh", "436") == ""


def test_languages_and_vocabulary() -> None:
    assert prompts.languages("en") == ("en",)
    assert prompts.languages("zh") == ("zh",)
    assert prompts.languages("both") == ("en", "zh")
    texts = " ".join(prompts.all_texts())
    assert "{" not in texts
    for word in ("October", "星期一", "title", "store"):
        assert word in texts
