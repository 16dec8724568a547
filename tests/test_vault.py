"""Vendor tokens at rest: encrypted with the newest key, readable with any of them."""

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import BadSettings
from relay.secret import Secret
from relay.vault import Vault

NEW, OLD = (Secret(Fernet.generate_key().decode()) for _ in "12")
TOKEN = Secret("95116bd2af44b753da2a1e4cd55cf965")


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_sealed_can_be_opened(secret):
    """Whatever it was."""
    assert secret == Vault([NEW]).open(Vault([NEW]).seal(Secret(secret))).reveal()


def test_a_sealed_token_is_not_the_token():
    """Nor the same twice."""
    vault = Vault([NEW])
    assert TOKEN.reveal().encode() not in vault.seal(TOKEN)
    assert vault.seal(TOKEN) != vault.seal(TOKEN)


def test_keys_are_rotated_without_a_break():
    """The newest seals, the older ones still open."""
    assert TOKEN == Vault([NEW, OLD]).open(Vault([OLD]).seal(TOKEN))
    assert TOKEN == Vault([NEW]).open(Vault([NEW, OLD]).seal(TOKEN))


@pytest.mark.parametrize("keys", [[NEW], []])
@pytest.mark.parametrize("sealed", [Vault([OLD]).seal(TOKEN), b"junk", b""])
def test_what_no_key_opens_says_what_to_do(keys, sealed):
    """Put the old key back; neither key nor token is shown."""
    with pytest.raises(BadSettings, match="RELAY_ENCRYPTION_KEYS: no key opens") as bad:
        Vault(keys).open(sealed)
    assert [] == [one for one in (NEW, OLD, TOKEN) if one.reveal() in str(bad.value)]


def test_without_a_key_nothing_is_kept():
    """Rather than in plain text."""
    with pytest.raises(BadSettings, match="RELAY_ENCRYPTION_KEYS is not set"):
        Vault([]).seal(TOKEN)


def test_a_vault_shows_no_key():
    """In `repr`."""
    assert NEW.reveal() not in repr(Vault([NEW]))
