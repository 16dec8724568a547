"""The outside over HTTP: what platforms, pages and readers talk to."""
