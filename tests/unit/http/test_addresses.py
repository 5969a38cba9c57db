"""The allow and deny list, and the proxies of the environment."""

import ipaddress

import pytest

from flagger_py.http.addresses import CLOUD_METADATA, AddressRules
from flagger_py.http.client import Denied
from flagger_py.http.proxies import EnvironmentProxies


def is_denied(rules: AddressRules, host: str, *addresses: str) -> bool:
    try:
        rules.check(host, [ipaddress.ip_address(address) for address in addresses])
    except Denied:
        return True
    return False


@pytest.mark.parametrize("host", [*CLOUD_METADATA, "METADATA.google.internal.", "[fd00:ec2::254]", "0xa9fea9fe", "::ffff:169.254.169.254"])
def test_cloud_metadata_is_denied_by_default_in_every_spelling(host: str) -> None:
    assert is_denied(AddressRules.parse(), host)


@pytest.mark.parametrize("host", ["prometheus", "10.0.0.1", "127.0.0.1", "fd00::1", "hooks.example.com"])
def test_everything_else_is_allowed_by_default(host: str) -> None:
    assert not is_denied(AddressRules.parse(), host)


def test_one_denied_address_among_those_of_a_name_denies_the_name() -> None:
    assert is_denied(AddressRules.parse(), "rebind.example", "203.0.113.9", "169.254.169.254")


def test_the_deny_list_wins_over_the_allow_list() -> None:
    assert is_denied(AddressRules.parse(deny=["10.0.0.1"], allow=["10.0.0.0/8"]), "10.0.0.1")


@pytest.mark.parametrize(
    ("host", "addresses", "denied"),
    [
        ("hooks.example.com", ["203.0.113.9"], False),
        ("example.com", ["203.0.113.9"], True),
        ("gate", ["10.1.2.3"], False),
        ("gate", ["10.1.2.3", "203.0.113.9"], True),
        ("gate", [], True),
        ("10.9.9.9", [], False),
    ],
)
def test_with_an_allow_list_a_host_must_be_on_it_by_name_or_with_all_addresses(host: str, addresses: list[str], denied: bool) -> None:
    rules = AddressRules.parse(allow=[".example.com", "10.0.0.0/8"])
    assert is_denied(rules, host, *addresses) == denied


@pytest.mark.parametrize("entry", ["10.0.0.0/40", "http://host", "two words"])
def test_an_entry_that_is_no_host_or_network_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="no host name, address or CIDR"):
        AddressRules.parse(deny=[entry])


ENVIRONMENT = {
    "HTTP_PROXY": "proxy:3128",
    "https_proxy": "http://secure:3128",
    "NO_PROXY": "10.0.0.0/8, svc.local,.below.local,192.0.2.7,only.port:8080, [fd00::1]:99",
}


@pytest.mark.parametrize(
    ("scheme", "host", "port", "proxy"),
    [
        ("http", "example.com", None, "http://proxy:3128"),
        ("https", "example.com", 443, "http://secure:3128"),
        ("http", "localhost", 8080, ""),
        ("http", "127.0.0.9", None, ""),
        ("http", "::1", None, ""),
        ("http", "10.1.2.3", None, ""),
        ("http", "svc.local", None, ""),
        ("http", "a.svc.local", None, ""),
        ("http", "xsvc.local", None, "http://proxy:3128"),
        ("http", "below.local", None, "http://proxy:3128"),
        ("http", "a.below.local", None, ""),
        ("http", "192.0.2.7", None, ""),
        ("http", "only.port", 8080, ""),
        ("http", "only.port", None, "http://proxy:3128"),
        ("http", "fd00::1", 99, ""),
        ("http", "fd00::1", 98, "http://proxy:3128"),
    ],
)
def test_the_environment_names_proxies_as_for_go_programs(scheme: str, host: str, port: int | None, proxy: str) -> None:
    """metrics:PRV-03"""
    assert EnvironmentProxies.read(ENVIRONMENT).proxy_for(scheme, host, port) == proxy


def test_a_star_switches_all_proxies_off() -> None:
    assert EnvironmentProxies.read({"HTTP_PROXY": "http://p", "NO_PROXY": "*"}).proxy_for("http", "example.com", None) == ""


def test_without_the_variables_there_is_no_proxy() -> None:
    assert EnvironmentProxies.read({}).proxy_for("http", "example.com", None) == ""
