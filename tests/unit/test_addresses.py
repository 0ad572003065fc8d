import pytest

from bot.addresses import is_denied, is_private


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "[fe80::1]",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
    ],
)
def test_link_local_and_metadata_addresses_are_denied_in_every_spelling(address):
    assert is_denied(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1", "agents.example.com", ""]
)
def test_other_addresses_and_names_are_not(address):
    assert not is_denied(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd12::1", "::ffff:10.0.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1"],
)
def test_what_the_outside_world_does_not_have_is_private(address):
    assert is_private(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "hooks.example.com"])
def test_public_addresses_and_names_are_not_private(address):
    assert not is_private(address)
