"""The sandbox: a simulated vendor, so that a platform can rehearse a whole broadcast without a physical toy.

It serves the vendor's own paths (token, settings page, `model.js`) and, under `/sandbox/`, what only a simulation can
have: switches for bad weather and a ledger of the calls the page made. It imports nothing of the relay.
"""

from relay.sandbox.app import create_app

__all__ = ["create_app"]
