"""What is said of an answer that is none."""

from __future__ import annotations

import pytest
import requests

from tasks.outside.modelscope.answers import NotJson, json_of, reason

PAGE = "<html>\n <title>Sign in</title> ms-01234567-89ab-cdef-0123-456789abcdef " + "x" * 200


def answered(text: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = 200, text.encode()
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.url = "https://login.example/hub?signature=abc"
    return response


def test_a_page_in_place_of_json_is_told_with_its_beginning_and_its_address() -> None:
    with pytest.raises(NotJson) as told:
        json_of(answered(PAGE))
    said = reason(told.value)
    assert said.startswith(
        "https://login.example/hub answered text/html; charset=utf-8 that begins '"
        "<html> <title>Sign in</title> ***"
    )
    assert "JSON was expected: is that the address of a hub (MODELSCOPE_ENDPOINT)" in said
    assert "89ab-cdef" not in said and "signature" not in said and "x" * 80 not in said


def test_so_is_one_that_the_client_read() -> None:
    with pytest.raises(requests.JSONDecodeError) as told:
        answered(PAGE).json()
    assert "it answered text that begins '<html>" in reason(told.value)


def test_json_is_read() -> None:
    assert json_of(answered('{"Data": 1}')) == {"Data": 1}
