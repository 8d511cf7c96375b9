"""Messages go to public addresses and allowed networks, and to the very address that was judged."""

import ipaddress
from collections.abc import Sequence

import pytest

from monitoring.delivery.egress import Address, EgressRefused, GuardedNetwork, Network, may_go, resolved
from tests.monitoring.delivery.receiver import Receiver

PUBLIC = ("8.8.8.8", "192.0.1.1", "172.15.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450:4001::1")
REFUSED = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),  # noqa: S104
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1", "2001:db8::1", "2002:7f00:1::", "3fff::1"),
    *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
)


def address(text: str) -> Address:
    """Returns an address."""
    return ipaddress.ip_address(text)


def networks(*texts: str) -> list[Network]:
    """Returns networks."""
    return [ipaddress.ip_network(text) for text in texts]


class Names:
    """Answers each question for a name with the next list of addresses."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> Sequence[Address]:
        """Returns what is next."""
        self.asked.append(host)
        return [address(text) for text in self._answers.pop(0)]


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_permitted(text: str) -> None:
    """Without any setting."""
    assert may_go(address(text), [])


@pytest.mark.parametrize("text", REFUSED)
def test_every_other_address_is_refused(text: str) -> None:
    """Private, loopback, link-local, metadata, multicast, reserved, and what wraps an IPv4 address."""
    assert not may_go(address(text), [])


def test_what_is_allowed_is_permitted_and_its_neighbour_is_not() -> None:
    """An IPv4 network does not open its IPv6 forms, and a scope is never permitted."""
    allowed = networks("10.2.0.0/16", "127.0.0.1/32", "fd00:1::/64", "64:ff9b::/96", "fe80::/10")
    for text in ("10.2.255.255", "127.0.0.1", "fd00:1::5", "64:ff9b::808:808"):
        assert may_go(address(text), allowed)
    for text in ("10.3.0.0", "127.0.0.2", "fd00:2::5", "::ffff:10.2.0.1", "fe80::1%eth0"):
        assert not may_go(address(text), allowed)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"])
async def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    """It is the address that is judged, however it was written."""
    with pytest.raises(EgressRefused):
        await GuardedNetwork([]).connect_tcp(host, 80)


async def test_it_connects_to_the_address_that_was_judged(receiver: Receiver) -> None:
    """A name is asked for once: what it would answer next (here: another host) is never used."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    stream = await GuardedNetwork(["127.0.0.0/8"], names).connect_tcp("channel.test", receiver.port, 30)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    await stream.aclose()
    assert names.asked == ["channel.test"]


async def test_of_several_addresses_a_permitted_one_is_used(receiver: Receiver) -> None:
    """The others are not tried; of two permitted ones the second, when the first refuses."""
    names = Names(["10.1.2.3", "127.0.0.9", "127.0.0.1"])
    stream = await GuardedNetwork(["127.0.0.0/8"], names).connect_tcp("channel.test", receiver.port, 30)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    await stream.aclose()
    with pytest.raises(EgressRefused):
        await GuardedNetwork(["127.0.0.0/8"], Names(["10.1.2.3", "fe80::1"])).connect_tcp("channel.test", 80)
    with pytest.raises(EgressRefused):
        await GuardedNetwork([], Names([])).connect_tcp("channel.test", 80)


async def test_a_file_is_no_channel() -> None:
    """Not even an allowed one."""
    with pytest.raises(EgressRefused):
        await GuardedNetwork(["0.0.0.0/0", "::/0"]).connect_unix_socket("/run/docker.sock")


async def test_the_system_knows_names() -> None:
    """Each address once, in its order."""
    found = await resolved("localhost", 80)
    assert ipaddress.ip_address("127.0.0.1") in found
    assert len(found) == len(set(found))
