"""What is read of an answer, and what is said of one that is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tasks.outside.modelscope.answers import (
    WrongAnswer,
    commits_in,
    entry_of,
    must_list,
    reason,
    revisions_in,
)

PAGE = "<html>\n <title>Sign in</title> ms-01234567-89ab-cdef-0123-456789abcdef " + "x" * 200
A, B = "a" * 40, "b" * 40


def answered(text: str, kind: str = "application/json") -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = 200, text.encode()
    response.headers["Content-Type"] = kind
    response.url = "https://login.example/hub?signature=abc"
    return response


def data(inner: Any, **more: Any) -> requests.Response:
    return answered(json.dumps({"Code": 200, "Success": True, "Data": inner, **more}))


def test_a_page_in_place_of_json_is_told_with_its_beginning_and_its_address() -> None:
    with pytest.raises(WrongAnswer) as told:
        must_list(answered(PAGE, "text/html; charset=utf-8"))
    said = reason(told.value)
    assert said.startswith(
        "https://login.example/hub answered text/html; charset=utf-8 that begins '"
        "<html> <title>Sign in</title> ***"
    )
    assert "JSON was expected: is that the address of a hub (MODELSCOPE_ENDPOINT)" in said
    assert "89ab-cdef" not in said and "signature" not in said and "x" * 80 not in said


def test_what_was_asked_for_is_read() -> None:
    assert commits_in(data({"Commit": [{"Id": A, "Message": "m"}, {"Id": B}]})) == [A, B]
    assert commits_in(data({"Commit": None})) == commits_in(data({"Commit": []})) == []
    named = {"RevisionMap": {"Branches": [{"Revision": "master"}], "Tags": [{"Revision": "v1"}]}}
    assert revisions_in(data(named)) == (["master"], ["v1"])
    assert revisions_in(data({"RevisionMap": {"Tags": None}})) == ([], [])
    must_list(data({"Files": None}))
    must_list(data({"Files": [{"Path": "a", "Size": 1, "Type": "blob", "Sha256": ""}]}))


READERS: dict[str, Callable[[requests.Response], Any]] = {
    "Commit": commits_in,
    "RevisionMap": revisions_in,
    "Files": must_list,
}


@pytest.mark.parametrize("reads", READERS)
@pytest.mark.parametrize(
    "text",
    [
        *("null", "[]", "[1]", '"str"', "5", "{}", pytest.param("[" * 100_000, id="deep")),
        *('{"Data": null}', '{"Data": []}', '{"Data": {}}', '{"Data": {"Error": "no"}}'),
        '{"Code": 10010205001, "Success": false, "Data": null}',
    ],
)
def test_whatever_else_comes_is_told_with_its_address(reads: str, text: str) -> None:
    with pytest.raises(WrongAnswer) as told:
        READERS[reads](answered(text))
    assert reason(told.value).startswith(
        "https://login.example/hub answered application/json that begins "
    )


@pytest.mark.parametrize(
    ("reads", "inner", "where"),
    [
        ("Commit", 5, "Data.Commit"),
        ("Commit", {"Id": A}, "Data.Commit"),
        ("Commit", ["x"], "Data.Commit.0"),
        ("Commit", [{"Id": A}, {"Id": 1}], "Data.Commit.1.Id"),
        ("Commit", [{"Id": "master"}], "Data.Commit.0.Id"),
        ("Commit", [{"Id": f"{A}\n"}], "Data.Commit.0.Id"),
        ("RevisionMap", None, "Data.RevisionMap"),
        ("RevisionMap", {"Tags": 7}, "Data.RevisionMap.Tags"),
        ("RevisionMap", {"Tags": [{"Revision": None}]}, "Data.RevisionMap.Tags.0.Revision"),
        ("Files", 7, "Data.Files"),
        ("Files", [{"Path": "a", "Size": 1}, "b"], "Data.Files.1"),
        ("Files", [{"Path": 5}], "Data.Files.0.Path"),
        ("Files", [{"Path": "a", "Sha256": 5}], "Data.Files.0.Sha256"),
    ],
)
def test_so_is_where_it_has_another_shape(reads: str, inner: Any, where: str) -> None:
    with pytest.raises(WrongAnswer) as told:
        READERS[reads](data({reads: inner}))
    assert f"what a hub says ({where}: " in reason(told.value)


def test_an_answer_that_says_it_failed_is_none() -> None:
    with pytest.raises(WrongAnswer, match="Success: "):
        commits_in(data({"Commit": [{"Id": A}]}, Success=False))


def test_a_row_without_a_size_or_a_path_names_no_file() -> None:
    assert entry_of({"Path": "a", "Size": 1, "Sha256": "A" * 64}).sha256 == "a" * 64
    assert entry_of({"Path": "a", "Size": 1, "Sha256": ""}).sha256 is None
    for row in ({"Size": 1, "Name": "a"}, {"Path": "a"}, {"Path": "a", "Size": "1"}):
        with pytest.raises(ValueError, match=r"'a'"):
            entry_of(row)
