"""What is configured, masked, and what is wrong with it."""

import pytest
from test_settings import BAD, FERNET, GOOD, SECRET

from relay.doctor import examine
from relay.settings import SECRET_VARIABLES


@pytest.fixture
def good(tmp_path):
    """An environment with nothing wrong."""
    return GOOD | {"RELAY_STORE": f"sqlite:///{tmp_path}/relay.db"}


def line_of(lines, variable):
    return next(line for line in lines if line.startswith(variable + " "))


def test_a_good_environment_has_nothing_wrong(good):
    """Every variable has its line, also the one that GOOD leaves out (a file)."""
    lines, wrong = examine(good)
    assert ("nothing wrong", False) == (lines[-1], wrong)
    assert 1 + len(GOOD) == len([line for line in lines if line.startswith(("RELAY_", "LOVENSE_"))])


def test_no_secret_is_printed(good):
    """Of a secret only that it is there, of a key its name and rights."""
    lines, _ = examine(good)
    printed = "\n".join(lines)
    assert [] == [one for one in (SECRET, FERNET, "0123456789abcdef", "fedcba9876543210") if one in printed]
    assert "stats:****:feed+models" in line_of(lines, "RELAY_API_KEYS")
    assert "**** (2 keys)" in line_of(lines, "RELAY_SECRETS")
    assert all("****" in line_of(lines, variable) for variable in SECRET_VARIABLES)


def test_what_is_set_is_told_from_defaults(tmp_path):
    """Also what came from a file."""
    (tmp_path / "name").write_text("Somebody")
    lines, _ = examine({"RELAY_ANONYMOUS_NAME_FILE": str(tmp_path / "name"), "RELAY_TIP_TTL": "5"})
    assert ["(set)", "(set)", "(default)"] == [
        line_of(lines, name).split()[-1] for name in ("RELAY_ANONYMOUS_NAME", "RELAY_TIP_TTL", "RELAY_HOST")
    ]


@pytest.mark.parametrize(("variable", "value"), BAD)
def test_a_bad_value_is_wrong(good, variable, value):
    """Named, and a secret one not shown."""
    lines, wrong = examine(good | {variable: value})
    found = [line for line in lines if line.startswith(f"wrong: {variable}: ")]
    assert (True, 1) == (wrong, len(found))
    assert SECRET not in found[0]


def test_an_empty_environment_says_what_is_missing(tmp_path, monkeypatch):
    """What `relay serve` would refuse to start without."""
    monkeypatch.chdir(tmp_path)
    lines, wrong = examine({})
    assert (True, ["RELAY_SECRETS", "RELAY_API_KEYS", "RELAY_ORIGINS"]) == (
        wrong,
        [line.split()[1] for line in lines if line.startswith("wrong:")],
    )


@pytest.mark.parametrize(
    ("store", "words"), [("memory:", "keeps nothing"), ("sqlite:////nowhere/at/all/relay.db", "does not exist")]
)
def test_a_store_that_will_not_do_is_wrong(good, store, words):
    """In memory, or in a folder that is not there."""
    lines, wrong = examine(good | {"RELAY_STORE": store})
    assert (True, True) == (wrong, any(line.startswith("wrong: RELAY_STORE") and words in line for line in lines))


def test_a_name_that_is_almost_a_setting_is_pointed_out():
    """A typing error would leave the default in force without a word."""
    lines, wrong = examine({"RELAY_TIP_TTTL": "5", "RELAY_KEY": "k"})
    assert wrong
    assert ["wrong: RELAY_TIP_TTTL is not a setting: see docs/configuration.md"] == [x for x in lines if "TTTL" in x]
