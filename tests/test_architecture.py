"""The shape of the code (design section 3): nouns at the root, outsides in folders, imports only downwards."""

from __future__ import annotations

import ast
from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RELAY = ROOT / "relay"
LINES_MAX = 300

# The vocabulary: frozen facts and pure functions, no I/O.
VOCABULARY = {
    "relay.addresses",
    "relay.announcements",
    "relay.broadcasts",
    "relay.clock",
    "relay.errors",
    "relay.events",
    "relay.evidence",
    "relay.feeds",
    "relay.grants",
    "relay.lines",
    "relay.proofs",
    "relay.menus",
    "relay.messages",
    "relay.names",
    "relay.pseudonyms",
    "relay.recordings",
    "relay.secret",
    "relay.settings",
    "relay.signatures",
    "relay.sinks",
    "relay.surrogates",
    "relay.tickets",
    "relay.tips",
    "relay.values",
    "relay.wordings",
}
EDGES = {
    "relay.cli",
    "relay.cli_client",
    "relay.cli_recordings",
    "relay.demo",
    "relay.demo_platform",
    "relay.recorder",
    "relay.replays",
    "relay.sandbox",
    "relay.web",
}  # nobody below imports these
WORLD = {
    "apsw",
    "asyncio",
    "fcntl",
    "httpx2",
    "socket",
    "sqlite3",
    "starlette",
    "subprocess",
    "threading",
    "uvicorn",
    "websockets",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if "__init__" == parts[-1] else parts)


MODULES = {module_name(path): path for path in sorted(RELAY.rglob("*.py"))}


def imports(name: str, everywhere: bool = True) -> set[str]:
    """What a module imports, as full names; `everywhere` also inside functions."""
    tree = ast.parse(MODULES[name].read_text())
    nodes = ast.walk(tree) if everywhere else at_import_time(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert 0 == node.level, f"{name}: relative imports hide where things come from"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if one in MODULES else str(node.module) for one in inside}
    return found


def at_import_time(tree: ast.AST):
    """Nodes that run when the module is imported: not inside functions, not only for types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from at_import_time(node)


def below(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def ours(name: str) -> set[str]:
    return {one for one in imports(name) if one in MODULES}


def test_the_vocabulary_is_all_there():
    """Its names are files; a rename shows here."""
    assert set() == VOCABULARY - MODULES.keys()


@pytest.mark.parametrize("name", sorted(VOCABULARY & MODULES.keys()))
def test_the_vocabulary_does_no_input_or_output(name):
    """No network, no database, no threads; and it imports only its own kind."""
    assert set() == {one for one in imports(name) if one.partition(".")[0] in WORLD}
    assert set() == ours(name) - VOCABULARY - {"relay"}


def test_nothing_below_imports_the_edges():
    """web, sandbox and command line are outsides: only they import each other."""
    wrong = {(name, one) for name in MODULES if not below(name, EDGES) for one in ours(name) if below(one, EDGES)}
    assert set() == wrong


def test_engines_and_vendors_do_not_know_the_hub():
    """A store or a vendor could be lifted out."""
    known = {"relay.stores", "relay.vendors"}
    wrong = {
        (name, one)
        for name in MODULES
        if below(name, known)
        for one in ours(name)
        if not below(one, known | VOCABULARY | {"relay.models"} - {"relay.models"}) and "relay" != one
    }
    assert set() == wrong


def test_the_hub_knows_only_contracts():
    """Not which engine keeps, nor which vendor speaks."""
    wrong = {
        (name, one)
        for name in MODULES
        if not below(name, {"relay.stores", "relay.vendors"} | EDGES)
        for one in ours(name)
        if below(one, {"relay.stores.sqlite", "relay.stores.memory", "relay.vendors.lovense"})
    }
    assert set() == wrong


def test_the_sandbox_imports_nothing_of_ours():
    """It knows the relay only by HTTP."""
    wrong = {
        (name, one)
        for name in MODULES
        if below(name, {"relay.sandbox"})
        for one in imports(name)
        if below(one, {"relay"}) and not below(one, {"relay.sandbox"})
    }
    assert set() == wrong


def test_no_imports_go_round_in_circles():
    """Every module can be read after those it imports."""
    graph = {name: {one for one in imports(name, everywhere=False) if one in MODULES} - {name} for name in MODULES}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*takewhile(lambda one: one != name, reversed(path)), name))
        if name not in done:
            for one in graph[name]:
                walk(one, (*path, name))
            done.add(name)

    for name in graph:
        walk(name, ())


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_file_is_about_one_thing(name):
    """At most 300 lines, and the first says what it is."""
    text = MODULES[name].read_text()
    assert len(text.splitlines()) <= LINES_MAX
    assert "" == text or ast.get_docstring(ast.parse(text)), "the first line says what it is"


@pytest.mark.parametrize(
    "path",
    sorted(str(path.relative_to(ROOT)) for folder in ("static", "relay") for path in (ROOT / folder).rglob("*.js")),
)
def test_a_script_is_about_one_thing(path):
    """At most 300 lines; the shim is one classic script by contract and is measured in bytes instead."""
    if path in {"static/shim.js"} or "vendor" in path:
        return
    assert len((ROOT / path).read_text().splitlines()) <= LINES_MAX
