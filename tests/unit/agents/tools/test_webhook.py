from __future__ import annotations

import pytest

from agents.errors import ToolError
from agents.tools.webhook import Webhook, is_public, sign


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.8", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)  # fmt: skip
def test_private_addresses_are_recognised_however_they_are_wrapped(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x", "http://localhost:8000/", "http://2130706433/", "http://[::1]/", "https://0/"]
)
async def test_private_targets_are_refused_unless_allowed(url: str) -> None:
    with pytest.raises(ToolError, match="private network"):
        await Webhook("order", url).call("call_1", {})


@pytest.mark.parametrize("url", ["ftp://example.org/", "file:///etc/passwd", "nonsense", "http://", "http://[bad/"])
async def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ToolError, match="order"):
        await Webhook("order", url, allow_private=True).call("call_1", {})


def test_the_signature_is_an_hmac_of_time_and_body() -> None:
    expected = "v1=942c6f7e34ef5c448cbbbf79276da392036d59f0bd9fb74ba14eb8e83e2bb6cd"
    assert sign("secret", "1700000000", b'{"a": 1}') == expected
