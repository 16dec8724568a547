"""The bridge between a live-streaming platform's tips and the toy on the broadcaster's page."""

__version__ = "1.0.0"
