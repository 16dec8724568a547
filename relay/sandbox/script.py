"""`model.js` as the browser gets it: the modules of `static/` joined into one classic script, configured at its end."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import orjson

STATIC = Path(__file__).parent / "static"
MODULES = ("rules.js", "words.js", "queue.js", "live.js", "wave.js", "view.js", "kit.js")  # a module after what it uses

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def model_js(config: dict[str, Any]) -> str:
    """The script for one model; it defines one global and starts by itself."""
    return f'(() => {{\n"use strict";\n{_modules()}\nstartKit({for_script(config)}, window);\n}})();\n'


def unknown_js() -> str:
    """What an unknown token gets: words in the console, and no global."""
    return 'console.error("[sandbox] 404: this mToken is unknown; get one from /api/cam/model/getToken");\n'


def broken_js() -> str:
    """What the switch `script_broken` orders."""
    return 'throw new Error("[sandbox] model.js broke while loading, as its switch says");\n'


def for_script(value: object) -> str:
    """JSON that may stand inside a script, in a page too: nothing in it can end either."""
    text = orjson.dumps(value).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _modules() -> str:
    """Each module in turn without its imports and exports; their top-level names are all different."""
    sources = ((STATIC / name).read_text(encoding="utf-8") for name in MODULES)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)
