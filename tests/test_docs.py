"""The docs say what the code has: every setting, status, code, type and command; and README's blocks work."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from itertools import takewhile
from pathlib import Path

import pytest

from relay import feeds, messages, wordings
from relay.cli import main
from relay.settings import SECRET_VARIABLES, Settings
from relay.tips import Status
from relay.web.api import CALLS
from relay.web.replies import STATUSES

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(path.read_text() for path in DOCS)
WORDS = set(re.findall(r"`([^`\n]+)`", TEXT))  # what is set as code

VARIABLES = [item.metadata["variable"] for item in fields(Settings)]
CODES = {name: code for name, code in vars(messages.Close).items() if isinstance(code, int)}
FRAMES_UP = sorted(messages.KNOWN)
FRAMES_DOWN = ["welcome", "tip", "ask", "uncertain", "ping", "hold", "release", "stop", "drain"]
TYPES = [*feeds.SHOW, "gap", "heartbeat"]


def mentioned(word: str) -> bool:
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", one) for one in WORDS)


@pytest.mark.parametrize("variable", [*VARIABLES, "PORT"])
def test_every_setting_is_documented(variable):
    """In docs/configuration.md, where an operator looks."""
    assert f"`{variable}`" in (ROOT / "docs" / "configuration.md").read_text()


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"`((?:RELAY|LOVENSE)_[A-Z_]+)`", TEXT))))
def test_every_documented_setting_is_one(variable):
    """No setting that was renamed or went away; RELAY_KEY and RELAY_URL are the command line's, RELAY_VENV scripts'."""
    assert variable.removesuffix("_FILE") in {*VARIABLES, "RELAY_KEY", "RELAY_URL", "RELAY_VENV"}


def test_every_default_is_documented():
    """The default stands in the setting's own line."""
    lines = (ROOT / "docs" / "configuration.md").read_text().splitlines()
    for item in fields(Settings):
        variable, default = item.metadata["variable"], item.default
        if variable in SECRET_VARIABLES or default in (None, "", ()):
            continue
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        assert any(f"`{variable}`" in line and shown in line for line in lines), f"{variable}: {shown}"


@pytest.mark.parametrize("status", [status.value for status in Status])
def test_every_status_is_documented(status):
    """With its row in "A tip's life"."""
    assert f"\n| `{status}` |" in (ROOT / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_every_close_code_is_documented(name, code):
    """With its row in "Close codes"."""
    assert f"\n| {code} |" in (ROOT / "docs" / "protocol.md").read_text()


def test_every_documented_close_code_is_one():
    """And no row without a code."""
    rows = re.findall(r"^\| (4\d\d\d) \|", (ROOT / "docs" / "protocol.md").read_text(), re.MULTILINE)
    assert set(CODES.values()) == {int(row) for row in rows}


@pytest.mark.parametrize("kind", [*FRAMES_UP, *FRAMES_DOWN])
def test_every_frame_is_documented(kind):
    """In docs/protocol.md."""
    assert f"`{kind}`" in (ROOT / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("kind", TYPES)
def test_every_feed_type_is_documented(kind):
    """With its row in "The feed"."""
    assert f"\n| `{kind}` |" in (ROOT / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_documented(command):
    """In the README, where one looks first."""
    assert f"`relay {command}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`relay ([a-z]+)", TEXT))))
def test_every_documented_command_is_one(command):
    """No command that was renamed or went away."""
    assert command in main.commands


def test_every_problem_is_documented():
    """A stable `type` that nobody can look up is none."""
    assert [] == [code for code in sorted(STATUSES) if not mentioned(code)]


def test_every_path_is_documented():
    """At least by its first words; /docs on a running relay has them all."""
    paths = {re.sub(r"{\w+}.*", "", path).rstrip("/") for _, path, *_ in CALLS}
    assert [] == sorted(path for path in paths if path not in TEXT)


@pytest.mark.parametrize(
    ("folder", "target"),
    [(path.parent, target) for path in DOCS for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())],
)
def test_every_link_leads_somewhere(folder, target):
    """To a file or a folder of this tree."""
    assert (folder / target).exists()


# -- docs/feed.md ----------------------------------------------------------


def table(head: str) -> list[list[str]]:
    """The rows below this line of docs/feed.md, as cells."""
    lines = (ROOT / "docs" / "feed.md").read_text().partition(f"\n{head}\n")[2].splitlines()[1:]
    rows = takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_table_of_audiences_is_the_codes():
    """Row by row: all, what the public sees, or nothing."""

    def cell(kind: str, audience: feeds.Audience) -> str:
        if audience not in feeds.SHOW[kind]:
            return ""
        return "all" if feeds.SHOW[kind][audience] is feeds.SHOW[kind][feeds.Audience.PLATFORM] else "public"

    code = [[f"`{kind}`", *(cell(kind, audience) for audience in feeds.Audience)] for kind in feeds.SHOW]
    assert code == table("| type | viewer | chat | platform |")


def test_every_kind_of_announcement_is_documented():
    """Each once."""
    kinds = [kind for row in table("| kind | said | beside the text |") for kind in re.findall(r"`(\w+)`", row[0])]
    assert list(wordings.KINDS) == kinds


def test_the_table_of_templates_is_the_codes():
    """Names, placeholders and words."""
    code = [
        [f"`{name}`", " ".join(f"`{{{one}}}`" for one in wordings.placeholders(name)), text]
        for name, text in wordings.TEMPLATES.items()
    ]
    assert code == [
        [name, placeholders, words[1:-1] if words.startswith('"') else words]
        for name, placeholders, words in table("| template | placeholders | as it is |")
    ]


def test_the_example_of_words_is_read(tmp_path):
    """As it stands."""
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "feed.md").read_text(), re.DOTALL)
    (tmp_path / "words.toml").write_text(block)
    assert "de" == wordings.load_wordings(str(tmp_path / "words.toml")).of(None).language


# -- README's blocks ----------------------------------------------------------


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_readmes_way_to_a_running_relay_works(tmp_path):
    """The block under "Run it", as it stands, but for installing: up to the line that says it listens."""
    (block,) = [block for block in blocks() if "relay serve" in block]
    steps = [line for line in block.splitlines() if not line.startswith("pip ")]
    assert steps[-1].startswith("relay serve")
    script = "set -e\n" + "\n".join([*steps[:-1], "exec relay serve --port 0"])
    env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    with subprocess.Popen(
        ["sh", "-c", script], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as relay:
        try:
            printed = []
            for line in relay.stdout:
                printed.append(line)
                if line.startswith("relay: "):
                    break
            assert any("nothing wrong" in line for line in printed), printed
            assert printed[-1].startswith("relay: http://127.0.0.1:"), relay.stderr.read()
        finally:
            relay.terminate()
            relay.communicate(timeout=10)


async def test_readmes_calls_work_as_they_stand(door):
    """Every curl of the README against a running relay: none is refused."""
    key = door.http.headers["authorization"].removeprefix("Bearer ")
    env = {"PATH": os.environ["PATH"], "RELAY": door.url, "KEY": key}
    calls = re.findall(r"^curl (?:.*\\\n)*.*$", "\n".join(blocks()), re.MULTILINE)
    assert len(calls) >= 4
    options = "-sS --max-time 1 -o /dev/null -w '%{http_code}' "
    ended = await asyncio.gather(*(run_shell(call.replace("curl ", f"curl {options}", 1), env) for call in calls))
    assert dict.fromkeys(calls, "2") == {call: code[:1] for call, code in zip(calls, ended, strict=True)}


async def run_shell(command: str, env: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_shell(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


# -- the vendor's rehearsal ----------------------------------------------------------


async def test_the_rehearsal_with_the_sandbox_works(tmp_path):
    """The three terminals of docs/vendor.md as they stand, but for the ports."""
    page = (ROOT / "docs" / "vendor.md").read_text().partition("## Cam Kit for Web")[0]
    sandbox, relay, platform = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    async with terminal(f"exec {sandbox.partition('#')[0].strip()} --port 0", "sandbox: ", tmp_path, env) as vendor:
        relay = relay.replace("http://127.0.0.1:8001", vendor).replace("relay serve", "exec relay serve --port 0")
        async with terminal(relay, "relay: ", tmp_path, env) as url:
            process = await asyncio.create_subprocess_shell(
                "set -e\n" + platform, cwd=tmp_path, env=env | {"RELAY_URL": url}, stdout=-1, stderr=-1
            )
            output, errors = await process.communicate()
    assert 0 == process.returncode, errors.decode()
    assert f'"settings_url": "{vendor}/api/cam/model/v2/setting?mToken=' in output.decode()
    assert '"status": "accepted"' in output.decode()


@asynccontextmanager
async def terminal(script: str, says: str, folder: Path, env: dict[str, str]) -> AsyncIterator[str]:
    """A shell that becomes a program at its end (`exec`); the address in the line that says it listens."""
    process = await asyncio.create_subprocess_exec("sh", "-c", script, cwd=folder, env=env, stdout=-1, stderr=-1)
    try:
        address = ""
        async with asyncio.timeout(20):
            while not address and (line := (await process.stdout.readline()).decode()):
                address = line.split()[-1] if line.startswith(says) else ""
        assert address, (await process.stderr.read()).decode()
        yield address
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.communicate()
