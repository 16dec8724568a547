"""Every setting from the environment; what is wrong is named all at once, and no secret in any of it."""

from dataclasses import fields, replace

import pytest

from relay.errors import BadSettings
from relay.secret import Secret
from relay.settings import SECRET_VARIABLES, Settings, read_settings, require_production
from relay.values import RIGHTS, ApiKey

SECRET = "s3cr3t" * 7
FERNET = "k" * 43 + "="
GOOD = {
    "RELAY_SECRETS": f"{SECRET}, {SECRET}2",
    "RELAY_ENCRYPTION_KEYS": FERNET,
    "RELAY_API_KEYS": "shop:0123456789abcdef, stats:fedcba9876543210:feed+models",
    "RELAY_ORIGINS": "https://Example.com/, http://localhost:3000",
    "RELAY_STORE": "sqlite:////var/lib/relay.db",
    "RELAY_PUBLIC_URL": "https://relay.example.com/",
    "RELAY_HOST": "0.0.0.0",
    "RELAY_PORT": "0",
    "RELAY_TIP_TTL": "90.5",
    "RELAY_REACTION_GRACE": "30",
    "RELAY_UNCERTAIN": "skip",
    "RELAY_ANONYMOUS_NAME": "Somebody",
    "RELAY_HEARTBEAT": "15",
    "RELAY_DRAIN_SECONDS": "0",
    "RELAY_RETENTION_DAYS": "90",
    "RELAY_HISTORY_DAYS": "1",
    "RELAY_SINKS_PRIVATE": "allow",
    "RELAY_HISTORY_ENTRIES": "5000",
    "RELAY_LOG_LEVEL": "debug",
    "LOVENSE_DEVELOPER_TOKEN": SECRET,
    "RELAY_VENDOR": "lovense",
    "LOVENSE_APP_ID": "app",
    "LOVENSE_APP_SECRET": SECRET,
    "LOVENSE_API_URL": "http://127.0.0.1:9000",
    "LOVENSE_APP_GALLERY_URL": "https://gallery.example.com",
}
READ = Settings(
    secrets=(Secret(SECRET), Secret(SECRET + "2")),
    encryption_keys=(Secret(FERNET),),
    api_keys=(
        ApiKey("shop", Secret("0123456789abcdef")),
        ApiKey("stats", Secret("fedcba9876543210"), frozenset({"feed", "models"})),
    ),
    origins=("https://example.com", "http://localhost:3000"),
    store="sqlite:////var/lib/relay.db",
    public_url="https://relay.example.com",
    host="0.0.0.0",
    port=0,
    tip_ttl=90.5,
    reaction_grace=30.0,
    uncertain="skip",
    anonymous_name="Somebody",
    heartbeat=15.0,
    drain_seconds=0.0,
    retention_days=90,
    history_days=1,
    sinks_private="allow",
    history_entries=5000,
    log_level="debug",
    developer_token=Secret(SECRET),
    app_id="app",
    app_secret=Secret(SECRET),
    lovense_api_url="http://127.0.0.1:9000",
    lovense_app_gallery_url="https://gallery.example.com",
)
BAD = [
    ("RELAY_SECRETS", "short"),
    ("RELAY_SECRETS", f"{SECRET},short"),
    ("RELAY_ENCRYPTION_KEYS", "notbase64"),
    ("RELAY_ENCRYPTION_KEYS", f"{FERNET},{SECRET}"),
    ("RELAY_API_KEYS", SECRET),
    ("RELAY_API_KEYS", "shop:short"),
    ("RELAY_API_KEYS", f":{SECRET}"),
    ("RELAY_API_KEYS", f"shop:{SECRET}:tips+everything"),
    ("RELAY_ORIGINS", "example.com"),
    ("RELAY_ORIGINS", "https://example.com/path"),
    ("RELAY_ORIGINS", "https://ok.example, ftp://example.com"),
    ("RELAY_STORE", "postgres://x"),
    ("RELAY_STORE", "sqlite:///"),
    ("RELAY_PUBLIC_URL", "relay.example.com"),
    ("RELAY_PORT", "http"),
    ("RELAY_PORT", "-1"),
    ("RELAY_PORT", "65536"),
    ("RELAY_TIP_TTL", "soon"),
    ("RELAY_TIP_TTL", "-1"),
    ("RELAY_TIP_TTL", "nan"),
    ("RELAY_TIP_TTL", "inf"),
    ("RELAY_REACTION_GRACE", "1e9"),
    ("RELAY_UNCERTAIN", "guess"),
    ("RELAY_HEARTBEAT", "x"),
    ("RELAY_HEARTBEAT", "0"),
    ("RELAY_DRAIN_SECONDS", "-0.1"),
    ("RELAY_RETENTION_DAYS", "0"),
    ("RELAY_RETENTION_DAYS", "1.5"),
    ("RELAY_HISTORY_DAYS", "4000"),
    ("RELAY_SINKS_PRIVATE", "yes"),
    ("RELAY_HISTORY_ENTRIES", "0"),
    ("RELAY_LOG_LEVEL", "chatty"),
    ("RELAY_ANNOUNCEMENTS", "/nowhere/words.json"),
    ("LOVENSE_API_URL", "api.lovense.com"),
    ("LOVENSE_APP_GALLERY_URL", "javascript:alert(1)"),
]


def problems(environ, **overrides):
    with pytest.raises(BadSettings) as bad:
        read_settings(environ, **overrides)
    return bad.value.problems


def test_every_setting_is_read(tmp_path):
    """One variable each, none forgotten here."""
    (tmp_path / "words.json").write_text('{"de": {"online": "Hallo"}}')
    good = GOOD | {"RELAY_ANNOUNCEMENTS": str(tmp_path / "words.json")}
    assert {item.metadata["variable"] for item in fields(Settings)} == set(good)
    read = read_settings(good)
    assert replace(READ, announcements=read.announcements) == read
    assert {"de", "en"} == read.announcements.languages.keys()


def test_the_defaults():
    """Design section 10."""
    settings = read_settings({})
    assert ("sqlite:///relay.db", "127.0.0.1", 8000, 120.0, 60.0, "Anonymous", "hold", 20.0, 30) == (
        settings.store,
        settings.host,
        settings.port,
        settings.tip_ttl,
        settings.reaction_grace,
        settings.anonymous_name,
        settings.uncertain,
        settings.drain_seconds,
        settings.retention_days,
    )
    assert "https://api.lovense-api.com" == settings.lovense_api_url


def test_a_key_has_all_rights_unless_it_says_which():
    """Backends of one's own and others'."""
    assert [RIGHTS, {"feed", "models"}] == [key.rights for key in read_settings(GOOD).api_keys]


@pytest.mark.parametrize(("variable", "value"), BAD)
def test_a_bad_value_is_named(variable, value):
    """By its variable, once, and a secret one is not shown."""
    (problem,) = problems({variable: value})
    assert problem.startswith(f"{variable}: ")
    assert variable not in SECRET_VARIABLES or (SECRET not in problem and value not in problem)


def test_everything_wrong_is_named_at_once():
    """Nobody starts five times to learn of five mistakes."""
    environ = dict(BAD)
    assert set(environ) == {problem.split(":")[0] for problem in problems(environ)}


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_a_blank_variable_is_not_set(blank):
    """As hosting platforms write "no value"."""
    assert Settings() == read_settings(dict.fromkeys(GOOD, blank))


def test_a_value_may_come_from_a_file(tmp_path):
    """Its line end does not belong to it, and the file wins."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    environ = {"LOVENSE_APP_SECRET_FILE": str(tmp_path / "secret"), "LOVENSE_APP_SECRET": "other"}
    assert SECRET == read_settings(environ).app_secret.reveal()


@pytest.mark.parametrize("variable", ["RELAY_SECRETS", "PORT"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, variable):
    """With the path and the reason, beside everything else that is wrong."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "binary"):
        found = problems({f"{variable}_FILE": str(path), "RELAY_UNCERTAIN": "guess"})
        assert [f"{variable}_FILE={path}", "RELAY_UNCERTAIN"] == sorted(problem.split(":")[0] for problem in found)


def test_port_counts_where_relay_port_is_not_set():
    """What hosting platforms set."""
    assert (9000, 80) == (
        read_settings({"PORT": "9000"}).port,
        read_settings({"PORT": "9000", "RELAY_PORT": "80"}).port,
    )


def test_the_command_line_wins():
    """Where it says something."""
    settings = read_settings({"RELAY_PORT": "9000"}, port=1, host=None)
    assert (1, "127.0.0.1") == (settings.port, settings.host)


# -- what production needs ----------------------------------------------------------


def test_production_refuses_to_start_without_secrets():
    """Each missing one is named, with a remedy."""
    with pytest.raises(BadSettings) as bad:
        require_production(Settings())
    assert ["RELAY_SECRETS", "RELAY_API_KEYS", "RELAY_ORIGINS"] == [one.split(" ")[0] for one in bad.value.problems]


@pytest.mark.parametrize("variable", ["LOVENSE_DEVELOPER_TOKEN", "LOVENSE_APP_ID", "LOVENSE_APP_SECRET"])
def test_vendor_tokens_are_only_kept_encrypted(variable):
    """A vendor credential needs a key for what comes of it."""
    base = {name: GOOD[name] for name in ("RELAY_SECRETS", "RELAY_API_KEYS", "RELAY_ORIGINS")}
    require_production(read_settings(base))
    with pytest.raises(BadSettings, match="RELAY_ENCRYPTION_KEYS"):
        require_production(read_settings(base | {variable: "x"}))
    require_production(read_settings(GOOD))


def test_no_secret_shows():
    """Neither in `repr` nor in `str`, of the settings and of a key."""
    secret = [SECRET, FERNET, "0123456789abcdef", "fedcba9876543210"]
    shown = repr(READ) + str(READ) + repr(READ.api_keys) + f"{READ}"
    assert [] == [one for one in secret if one in shown]
