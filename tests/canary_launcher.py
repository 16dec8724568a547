"""`relay serve` with something that fails over a secret, and perhaps a redaction removed:
`python tests/canary_launcher.py REMOVED [serve options]`.

In every mode the settings page of the model `boom` fails with an error that carries her token.
"""

import sys
from collections.abc import Callable
from typing import Any

import structlog

from relay.cli import main
from relay.models import Models
from relay.secret import Secret
from relay.vault import Vault
from relay.vendors.lovense.calls import Caller

log = structlog.get_logger()


def fail_over_a_secret() -> None:
    plain = Models.settings_url

    def settings_url(self: Models, record: Any) -> str | None:
        if record.id == "boom":
            token = self._vault.open(record.token)
            log.info("about to fail", token=token, settings=self._hub.settings, keys=[*self._hub.settings.api_keys])
            raise RuntimeError(f"failed over {token} and {token!r} in {self._hub.settings!r}")
        return plain(self, record)

    Models.settings_url = settings_url  # type: ignore[method-assign]


def show_secrets() -> None:
    """A secret prints as what it is."""
    for name in ("__str__", "__repr__"):
        setattr(Secret, name, Secret.reveal)
    Secret.__format__ = lambda self, _: self.reveal()  # type: ignore[method-assign]


def seal_nothing() -> None:
    """What is kept is kept as it is."""
    Vault.seal = lambda self, secret: secret.reveal().encode()  # type: ignore[method-assign]
    Vault.open = lambda self, sealed: Secret(sealed.decode())  # type: ignore[method-assign]


def log_answers() -> None:
    """Whatever the vendor answers is logged."""
    plain = Caller._exchange

    async def exchange(self: Caller, *given: Any) -> Any:
        answer = await plain(self, *given)
        log.info("the vendor answered", body=answer[2].decode("utf-8", "replace"))
        return answer

    Caller._exchange = exchange  # type: ignore[method-assign]


REMOVED: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "the mask": show_secrets,
    "the encryption": seal_nothing,
    "silence about answers": log_answers,
}


if __name__ == "__main__":
    fail_over_a_secret()
    REMOVED[sys.argv[1]]()
    sys.argv = ["relay", *sys.argv[2:]]
    main()
