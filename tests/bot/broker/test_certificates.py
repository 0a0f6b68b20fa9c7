from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.broker.certificates import Pair, new_authority, new_certificate, serves

AUTHORITY = new_authority()
HOSTS = ("10.0.0.5", "pincel.example.org", "2001:db8::1")


def test_certificate_serves_its_hosts_until_it_has_to_be_renewed():
    pair = new_certificate(AUTHORITY, HOSTS)
    now = datetime.now(UTC)
    assert serves(pair, AUTHORITY.certificate_pem, HOSTS)
    assert serves(pair, AUTHORITY.certificate_pem, HOSTS[:1])
    assert not serves(pair, AUTHORITY.certificate_pem, (*HOSTS, "10.0.0.6"))
    assert serves(pair, AUTHORITY.certificate_pem, HOSTS, now + timedelta(days=2 * 365))
    assert not serves(pair, AUTHORITY.certificate_pem, HOSTS, now + timedelta(days=4 * 365))


def test_certificate_of_another_authority_or_key_or_no_certificate_does_not_serve():
    pair, other = new_certificate(AUTHORITY, HOSTS), new_authority()
    assert not serves(pair, other.certificate_pem, HOSTS)
    assert not serves(Pair(pair.certificate_pem, other.key_pem), AUTHORITY.certificate_pem, HOSTS)
    assert not serves(Pair(b"", b""), AUTHORITY.certificate_pem, HOSTS)
    assert not serves(Pair(pair.certificate_pem, b"torn"), AUTHORITY.certificate_pem, HOSTS)


def test_authority_that_is_none_signs_nothing():
    with pytest.raises(ValueError, match=r"."):
        new_certificate(Pair(AUTHORITY.certificate_pem, b"torn"), HOSTS)
