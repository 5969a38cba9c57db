"""Bearer tokens: whose they are, and when they stop being anybody's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from flagger_py.local.apiserver import ADMIN_TOKEN, ApiServer, serve
from flagger_py.local.apiserver.status import Refused
from tests.unit.local.apiserver.apicalls import call


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def test_a_static_token_is_its_users() -> None:
    assert ApiServer().authenticate(f"Bearer {ADMIN_TOKEN}").name == "admin"


def test_nobody_is_anonymous_without_rights() -> None:
    assert ApiServer().authenticate("").groups == ("system:unauthenticated",)


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic YTpi", "Bearer a.b.c"])
def test_other_credentials_are_refused(header: str) -> None:
    with pytest.raises(Refused) as refused:
        ApiServer().authenticate(header)
    assert refused.value.code == 401


async def test_a_service_account_token_ends() -> None:
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    api = ApiServer(now=lambda: moment[0])
    token = api.service_account_token("default", "default", seconds=60)
    user = api.authenticate(f"Bearer {token}")
    assert user.name == "system:serviceaccount:default:default"
    assert "system:serviceaccounts:default" in user.groups
    moment[0] += timedelta(seconds=60)
    with pytest.raises(Refused):
        api.authenticate(f"Bearer {token}")


async def test_a_token_ends_with_its_account() -> None:
    api = ApiServer()
    token = api.service_account_token("default", "default")
    await call(api.transport(), "DELETE", "/api/v1/namespaces/default/serviceaccounts/default")
    with pytest.raises(Refused):
        api.authenticate(f"Bearer {token}")


def test_an_altered_token_is_refused() -> None:
    api = ApiServer()
    head, claims, signature = api.service_account_token("default", "default").split(".")
    for forged in (
        f"{head}.{claims}x.{signature}",
        f"{head}.{claims}.{signature[:-2]}AA",
        ApiServer().service_account_token("default", "default"),
    ):
        with pytest.raises(Refused):
            api.authenticate(f"Bearer {forged}")


async def test_tokens_are_judged_over_http(web: aiohttp.ClientSession) -> None:
    async with serve(ApiServer()) as serving:
        for token, code in ((ADMIN_TOKEN, 200), ("nonsense", 401)):
            async with web.get(f"{serving.url}/api/v1/pods", headers={"Authorization": f"Bearer {token}"}) as response:
                assert response.status == code
        async with web.get(f"{serving.url}/api/v1/pods") as response:
            assert response.status == 403


@pytest.mark.parametrize("headers", [{"Origin": "https://example.com"}, {"Host": "rebound.example.com"}], ids=["origin", "host"])
async def test_web_pages_are_kept_out(web: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    """A page in a browser must not reach the cluster of whoever looks at it, by a form or by DNS rebinding."""
    async with serve(ApiServer()) as serving, web.get(f"{serving.url}/version", headers=headers) as response:
        assert response.status == 403
