import pytest

from gpu_worker.protocol.web.addresses import PublicAddresses

PUBLIC = ["8.8.8.8", "1.1.1.1", "104.16.0.1", "2606:4700::1111", "2a00:1450:4003::1", "::ffff:8.8.8.8",
          "64:ff9b::808:808"]  # fmt: skip
REFUSED = {
    "loopback": ["127.0.0.1", "127.255.1.2", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::127.0.0.1"],
    "nobody": ["0.0.0.0", "::", "0.1.2.3", "255.255.255.255", "240.0.0.1"],
    "private": ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1", "fec0::1"],
    "private in disguise": [
        "::ffff:10.0.0.1",
        "::ffff:c0a8:101",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::1",
    ],
    "metadata": [
        "169.254.169.254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
    ],
    "link-local": ["169.254.1.1", "fe80::1", "fe80::1%eth0"],
    "zoned": ["2606:4700::1111%eth0"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "::ffff:224.0.0.1"],
    "shared and tests": ["100.64.0.1", "198.18.0.1", "192.0.2.1", "203.0.113.9", "2001:db8::1"],
    "no address": ["", "localhost", "2130706433", "127.1", "0x7f.0.0.1", "017700000001"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address):
    assert PublicAddresses().allows(address)


@pytest.mark.parametrize("address", [address for group in REFUSED.values() for address in group])
def test_whatever_is_not_public_may_not(address):
    assert not PublicAddresses().allows(address)
