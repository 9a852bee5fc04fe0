"""A page a language, each leading to the other."""

from __future__ import annotations

import re

import pytest

from tasks.report import page as report
from tasks.report.words.chinese import CHINESE
from tasks.report.words.speech import LANGUAGES, TAGS, PageLanguage
from tests.support import reportdata
from tests.support.reportdata import Page

MEASURED = reportdata.rounds(3, 16)
# names of the record that stand in Chinese sentences
KEPT = {
    "qwen", "models", "master", "model", "rollout", "evalscope", "prefect", "Great", "Expectations",
    "Data", "Docs", "English", "targets", "requests", "hygon", "registry", "vllm", "cluster",
    "address", "http", "https", "cores", "answer", "mean", "head", "Qwen", "Instruct", "dcu",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_in_one_language_and_leads_to_the_other(language: PageLanguage) -> None:
    record = reportdata.record(MEASURED)
    page = Page(reportdata.page(record, MEASURED, language))
    assert page.all("html") == [{"lang": TAGS[language]}]
    others = [one for one in LANGUAGES if one != language]
    assert [a["href"] for a in page.all("a") if "hreflang" in a] == [
        f"./{report.FILES[one]}" for one in others
    ]
    headings = {"en": "Time to first token", "zh": CHINESE["Time to first token"]}
    assert headings[language] in page.text
    assert not any(headings[one] in page.text for one in others)
    # what the record says is marked as the English that it is, where the page is not
    english = [a for a in page.all("span") if a.get("lang") == "en"]
    assert bool(english) == (language != "en")


def test_no_message_is_left_in_english() -> None:
    """Of the page's own words; names, units and what the record says stay."""
    record = reportdata.record(MEASURED, outcome="failed")
    text = reportdata.page(record, MEASURED, "zh")
    assert "{" not in text.split("</style>")[1].split("<details>")[0]
    own = Page(
        re.sub(r'<(span|pre)[^>]* lang="en">.*?</\1>|<(code|pre)>.*?</\2>', "", text, flags=re.S)
    ).words
    allowed = re.compile(
        r"(?i)[a-z]*\d[\w.]*|tok/s|ms|TTFT|TPOT|token|goodput|p\d+|CPU|MiB|GiB|Pod"
    )
    for words in own:
        if english := re.findall(r"\b[A-Z]?[a-z]{4,}\b", allowed.sub("", words)):
            assert set(english) <= KEPT, words
