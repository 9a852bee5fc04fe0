"""ModelScope's own client, which does not look at what it reads: an answer of another shape is an
error of the hub's here, and not the client's own."""

from __future__ import annotations

from typing import Any

import requests
from modelscope_hub._legacy_api import LegacyClient
from modelscope_hub.errors import HubError

from tasks.base.scrub import scrub_text
from tasks.outside.modelscope.answers import WrongAnswer, must_list


class Client(LegacyClient):
    """Its calls raise WrongAnswer for what they cannot read."""

    def _request(self, method: str, path: str, **how: Any) -> requests.Response:
        try:
            return super()._request(method, path, **how)
        except (HubError, requests.RequestException):  # some are a ValueError, too
            raise
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            said = f"{type(error).__name__}: {error}"
            raise WrongAnswer(
                scrub_text(f"{self._build_url(path)} answered what its client cannot read ({said})")
            ) from error

    def _request_repo_tree(self, *what: Any, **how: Any) -> requests.Response:
        response: requests.Response = super()._request_repo_tree(*what, **how)
        must_list(response)
        return response
