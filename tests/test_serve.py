"""`relay serve` as an operator runs it: a process of its own, with signals, files and disks that fail."""

import asyncio
import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from click.testing import CliRunner
from kit import (
    ENVIRONMENT,
    KEY,
    SECRET,
    Platform,
    eventually,
    free_port,
    live_page,
    page_socket,
    read_sse,
    read_websocket,
    serving,
)

from relay.cli import main
from relay.stores import sqlite_writer
from relay.stores.sqlite import SqliteStore

COMMAND = str(Path(sys.executable).with_name("relay"))


def run(*arguments, env=None, cwd=None):
    """The command until its end."""
    environment = {"PATH": os.environ["PATH"]} | (env or {})
    return subprocess.run([COMMAND, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, timeout=20)


def invoke(*arguments, env=None, cwd=None):
    """The same in this process, for what ends at once."""
    with contextlib.chdir(cwd) if cwd else contextlib.nullcontext():
        ended = CliRunner(env=dict.fromkeys(ENVIRONMENT) | (env or {})).invoke(main, arguments)
    return SimpleNamespace(returncode=ended.exit_code, stdout=ended.stdout, stderr=ended.stderr)


def variable_file(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


@pytest.fixture
async def started(relay_process):
    """`relay serve` on a free port, and the platform at it."""
    process = relay_process()
    async with await process.start() as platform:
        assert 201 == (await platform.register()).status_code
        process.platform = platform
        yield process


async def restarted(relay_process, **environment):
    process = relay_process(**environment)
    return process, await process.start()


# -- Starting ----------------------------------------------------------


async def test_it_prints_one_line_once_it_listens(started):
    """`relay: http://HOST:PORT` on standard output, logs on standard error; port 0 picks a free one."""
    assert re.fullmatch(r"relay: http://127\.0\.0\.1:[1-9]\d*\n", started.line)
    assert 200 == (await started.platform.http.get("/readyz")).status_code
    started.terminate()
    assert 0 == await started.ended()
    assert "" == started.rest_of_output()
    assert all(line.startswith("{") for line in started.errors.read_text().splitlines())


@pytest.mark.parametrize(
    "missing",
    [{"RELAY_SECRETS"}, {"RELAY_API_KEYS"}, {"RELAY_ORIGINS"}, {"RELAY_SECRETS", "RELAY_API_KEYS", "RELAY_ORIGINS"}],
)
def test_it_refuses_to_start_without_its_secrets(tmp_path, missing):
    """Exit code 2, and each missing variable by name; nothing on standard output, no database made."""
    env = {name: value for name, value in ENVIRONMENT.items() if name not in missing}
    ended = invoke("serve", "--port", "0", env=env, cwd=tmp_path)
    named = {word for word in re.findall(r"RELAY_\w+", ended.stderr) if f"{word} is not set" in ended.stderr}
    assert (2, "", missing) == (ended.returncode, ended.stdout, named)
    assert [] == list(tmp_path.iterdir())


def test_vendor_credentials_ask_for_an_encryption_key(tmp_path):
    """Tokens are only kept encrypted."""
    ended = invoke("serve", "--port", "0", env=ENVIRONMENT | {"LOVENSE_DEVELOPER_TOKEN": "x"}, cwd=tmp_path)
    assert 2 == ended.returncode
    assert "RELAY_ENCRYPTION_KEYS is not set" in ended.stderr


def test_every_wrong_value_is_named_at_once_and_no_secret_shown(tmp_path):
    """One start tells all there is to mend."""
    wrong = {
        "RELAY_SECRETS": "too-short-and-secret",
        "RELAY_API_KEYS": "platform:hush",
        "RELAY_ORIGINS": "cam.example",
        "RELAY_PORT": "99999",
        "RELAY_TIP_TTL": "soon",
        "RELAY_STORE": "postgres://x",
        "RELAY_LOG_LEVEL": "loud",
    }
    ended = invoke("serve", env=wrong, cwd=tmp_path)
    assert 2 == ended.returncode
    assert [] == [name for name in wrong if name not in ended.stderr]
    assert "too-short-and-secret" not in ended.stderr
    assert "hush" not in ended.stderr
    assert "'soon'" in ended.stderr


async def test_any_variable_may_come_from_a_file(relay_process, tmp_path):
    """`X_FILE`, as containers hand in secrets; a newline at its end is not part of it."""
    env = dict(ENVIRONMENT)
    process = relay_process()
    process.environment = {
        f"{name}_FILE": variable_file(tmp_path, name, value + "\n") for name, value in env.items()
    } | {"RELAY_STORE": "memory:"}
    async with await process.start() as platform:
        assert 201 == (await platform.register()).status_code


def test_a_file_that_is_not_there_is_named(tmp_path):
    """The variable and the path."""
    env = ENVIRONMENT | {"RELAY_SECRETS_FILE": "/nowhere/secret"}
    ended = invoke("serve", "--port", "0", env=env, cwd=tmp_path)
    assert 2 == ended.returncode
    assert "RELAY_SECRETS_FILE=/nowhere/secret" in ended.stderr


async def test_a_hosting_platforms_port_counts(relay_process):
    """PORT, when RELAY_PORT is not set."""
    port = free_port()
    process = relay_process(PORT=str(port))
    process.spawn("--host", "127.0.0.1")
    assert f"http://127.0.0.1:{port}" == await process.listening()


def test_an_address_that_is_not_ours_is_said_in_a_sentence(tmp_path):
    """Exit code 1, no traceback."""
    ended = run("serve", "--host", "192.0.2.1", "--port", "0", env=ENVIRONMENT, cwd=tmp_path)
    assert 1 == ended.returncode
    assert "cannot listen on 192.0.2.1:0" in ended.stderr
    assert "Traceback" not in ended.stderr


# -- The rest of the command line ----------------------------------------------------------


async def test_the_command_line_talks_to_a_running_relay(started):
    """A ticket, a tip and its receipt; a refusal is a sentence and exit code 1."""
    env = {"RELAY_URL": started.url, "RELAY_KEY": KEY}
    ticket = await asyncio.to_thread(run, "ticket", "kim", "--name", "Kim", env=env)
    assert '"script": "<script' in ticket.stdout, ticket.stderr
    tip = await asyncio.to_thread(run, "tip", "kim", "john", "20", "--id", "cli-1", env=env)
    assert '"status": "accepted"' in tip.stdout, tip.stderr
    refused = await asyncio.to_thread(run, "tip", "kim", "john", "nothing", env=env)
    assert 1 == refused.returncode
    assert "'amount'" in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_follow_prints_the_feed(started):
    """One JSON entry a line, from history on, until it is interrupted."""
    await started.platform.accepted("t1")
    env = {"RELAY_URL": started.url, "RELAY_KEY": KEY, "PATH": os.environ["PATH"]}
    reader = await asyncio.create_subprocess_exec(
        COMMAND,
        "follow",
        "coco",
        "--last",
        "5",
        env=env,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    try:
        async with asyncio.timeout(10):
            while b'"tip":"t1"' not in (line := await reader.stdout.readline()):
                assert line, "it ended"
    finally:
        reader.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            await reader.communicate()
    assert 0 == reader.returncode


def test_keys_are_enough_to_start(tmp_path):
    """`relay keys` prints an env file; with origins, the doctor finds nothing wrong."""
    env = dict(line.split("=", 1) for line in invoke("keys").stdout.splitlines())
    assert {"RELAY_SECRETS", "RELAY_ENCRYPTION_KEYS", "RELAY_API_KEYS"} == env.keys()
    doctor = invoke("doctor", env=env | {"RELAY_ORIGINS": "https://cam.example"}, cwd=tmp_path)
    assert (0, True) == (doctor.returncode, "nothing wrong" in doctor.stdout)
    assert not any(env[name] in doctor.stdout for name in env)
    assert env["RELAY_API_KEYS"].partition(":")[2] not in doctor.stdout


def test_the_doctor_says_what_is_wrong(tmp_path):
    """Exit code 1, and a line for each."""
    doctor = invoke("doctor", env={"RELAY_STORE": "sqlite:////nowhere/relay.db"}, cwd=tmp_path)
    assert 1 == doctor.returncode
    for name in ("RELAY_SECRETS", "RELAY_API_KEYS", "RELAY_ORIGINS", "/nowhere"):
        assert any(line.startswith("wrong:") and name in line for line in doctor.stdout.splitlines()), doctor.stdout


async def test_the_logs_hold_no_secrets_and_no_tippers_words(started):
    """Neither keys nor tickets nor names, whatever is logged."""
    platform = started.platform
    ticket, feed_ticket = await platform.ticket(), await platform.feed_ticket()
    async with live_page(platform, ticket=ticket) as page:
        await platform.accepted("t1", "a-tippers-name")
        await page.play()
        await platform.until("t1", "played")
        async with Platform(started.url, None) as nobody, read_sse(nobody, "/feed/coco", ticket=feed_ticket):
            await nobody.http.get("/feed/coco", params={"ticket": feed_ticket + "x"})
        resume = page.welcome["resume"]
    started.terminate()
    await started.ended()
    log = started.errors.read_text()
    assert "page arrived" in log
    assert [] == [word for word in (KEY, SECRET, ticket, feed_ticket, resume, "a-tippers-name") if word in log]


# -- Ending ----------------------------------------------------------


async def test_the_words_about_a_tip_are_not_lost_with_sigterm(started, relay_process):
    """What was taken in the last second is announced before the end: the next relay has it in its history."""
    await started.platform.accepted("t1")
    started.terminate()
    assert 0 == await started.ended()
    _, platform = await restarted(relay_process)
    async with platform, read_sse(platform, "/feed/coco", last=10) as reader:
        assert "t1" == (await reader.next("announcement", source="relay"))["tip"]
    assert "room dropped" not in started.errors.read_text()


async def test_sigterm_drains_with_readers_and_pages_still_there(started):
    """Pages are told to return and closed with 4301, feeds end with a retry hint, the exit code is 0."""
    platform = started.platform
    async with (
        live_page(platform) as page,
        read_sse(platform, "/feed/coco") as sse,
        read_websocket(platform, "/feed/coco") as websocket,
    ):
        await platform.accepted("t1")
        await page.play()
        await platform.until("t1", "played")
        started.terminate()
        assert 0 <= (await page.next("drain"))["in"] <= 0.3
        assert 4301 == await page.closed()
        assert "tip" in [entry["type"] for entry in await sse.until_end()]
        await websocket.until_end()
        assert 4301 == websocket.socket.close_code
        assert 0 == await started.ended()


async def test_sigint_ends_it_too(started):
    """Ctrl+C: the same drain, no traceback."""
    os.kill(started.pid, signal.SIGINT)
    assert 0 == await started.ended()
    assert "Traceback" not in started.errors.read_text()


async def test_tips_are_taken_while_draining(relay_process):
    """A drain is no outage: 202 until the socket closes, and the tip is there after the restart."""
    process = relay_process(RELAY_DRAIN_SECONDS="2")
    async with await process.start() as platform:
        await platform.register()
        async with live_page(platform) as page:
            process.terminate()
            await page.next("drain")
            assert 503 == (await platform.http.get("/readyz")).status_code
            await platform.accepted("t1")
            assert "t1" == (await page.play())["id"]
            await platform.until("t1", "played")
        assert 0 == await process.ended()
    _, platform = await restarted(relay_process)
    async with platform:
        assert "played" == (await platform.receipt("t1"))["status"]


# -- Dying ----------------------------------------------------------


async def test_a_tip_survives_kill_9(started, relay_process):
    """202, kill -9, restart: the tip is there and is played once."""
    await started.platform.accepted("t1")
    await started.kill()
    _, platform = await restarted(relay_process)
    async with platform:
        async with live_page(platform) as page:
            assert "t1" == (await page.play())["id"]
            await platform.until("t1", "played")
            assert [] == await page.tips_so_far()
        again = await platform.tip("t1")
        assert (200, "played") == (again.status_code, again.json()["status"])


async def test_a_sent_tip_survives_kill_9(started, relay_process):
    """Sent, played, the ack never heard: after the restart its journal is asked, and nobody plays it twice."""
    async with live_page(started.platform) as page:
        await started.platform.accepted("t1")
        await started.platform.accepted("t2")
        await page.next_tip()
        await page.next_tip()
        await started.kill()
    _, platform = await restarted(relay_process)
    async with platform, live_page(platform, resume=page.welcome["resume"]) as page:
        assert (["t1", "t2"], 2) == (page.welcome["ask"], page.welcome["generation"])
        await page.say(type="answer", tips={"t1": "played", "t2": "unseen"})
        assert "t2" == (await page.play())["id"]
        await platform.until("t1", "played")
        await platform.until("t2", "played")


async def test_every_202_before_kill_9_is_kept(started, relay_process):
    """Tips pour in, the process dies in the middle: each acknowledged one has its record, in order, once."""
    taken = []

    async def pour(n):
        with contextlib.suppress(httpx2.HTTPError):
            answer = await started.platform.tip(f"t{n}")
            if 202 == answer.status_code:
                taken.append(f"t{n}")

    async with asyncio.TaskGroup() as group:
        for n in range(300):
            group.create_task(pour(n))
        await eventually(lambda: len(taken) > 60, "the first tips")
        await started.kill()
    _, platform = await restarted(relay_process)
    async with platform:
        kept = [tip["id"] for tip in (await platform.http.get("/tips?limit=1000")).json()["tips"]]
        assert set(taken) <= set(kept)
        assert len(kept) == len(set(kept))
        async with live_page(platform) as page:
            assert kept == [(await page.play())["id"] for _ in kept]


async def test_a_hold_survives_kill_9(started, relay_process):
    """What the broadcaster stopped stays stopped."""
    await started.platform.stop()
    await started.kill()
    _, platform = await restarted(relay_process)
    async with platform, live_page(platform) as page:
        assert (True, True) == (page.welcome["held"], page.welcome["stopped"])


async def test_a_cursor_survives_kill_9(started, relay_process):
    """A reader comes back with its cursor and has missed nothing; the epoch is the database's."""
    async with read_sse(started.platform, "/feed/coco") as reader:
        await started.platform.accepted("t1")
        cursor = (await reader.next("tip"))["id"]
        await started.platform.accepted("t2")
        await reader.next("tip")
        await started.kill()
    _, platform = await restarted(relay_process)
    async with platform, read_sse(platform, "/feed/coco", after=cursor) as reader:
        assert "t2" == (await reader.next("tip"))["tip"]
        assert "gap" not in [entry["type"] for entry in reader.seen]


# -- Two of them ----------------------------------------------------------


async def out_of_order(platform):
    """What a relay without its store says: 503 with Retry-After, not ready, alive."""
    answer = await platform.tip("t1")
    assert (503, "store_unavailable") == (answer.status_code, answer.json()["type"])
    assert int(answer.headers["retry-after"]) >= 1
    assert "nothing was kept" in answer.json()["detail"] or "out of order" in answer.json()["detail"]
    ready = await platform.http.get("/readyz")
    assert (503, "unavailable") == (ready.status_code, ready.json()["store"])
    assert 200 == (await platform.http.get("/healthz")).status_code
    return ready.json()["why"]


async def until_ready(platform):
    async def ready():
        return 200 == (await platform.http.get("/readyz")).status_code

    await eventually(ready, "readiness")


async def test_a_second_relay_on_the_same_file_waits_for_it(started, relay_process):
    """It serves 503 and says why; once the first has ended it takes over, with everything."""
    await started.platform.accepted("t0")
    _, platform = await restarted(relay_process)
    async with platform:
        assert "another relay" in await out_of_order(platform)
        assert 503 == (await platform.http.get("/models/coco")).status_code
        async with page_socket(platform) as page:
            await page.say(type="hello", journal="j", ticket=await started.platform.ticket())
            assert 4205 == await page.closed()
        started.terminate()
        await started.ended()
        await until_ready(platform)
        await platform.accepted("t1")
        assert "accepted" == (await platform.receipt("t0"))["status"]


async def test_a_second_relay_on_the_same_port_takes_over(relay_process):
    """An overlapping restart: it waits for port and file, and is there when the first has drained."""
    port = str(free_port())
    first = relay_process()
    async with await first.start("--port", port) as platform:
        await platform.register()
        second = relay_process()
        second.spawn("--port", port)
        await platform.accepted("t1")
        first.terminate()
        assert 0 == await first.ended()
        assert first.url == await second.listening()
    async with Platform(second.url) as platform:
        await until_ready(platform)
        assert "accepted" == (await platform.receipt("t1"))["status"]


# -- Disks that fail ----------------------------------------------------------


async def test_a_full_disk_is_said_and_survived(started):
    """503 with Retry-After and not ready while nothing can be written; then it goes on, and nothing is doubled."""
    platform = started.platform
    for n in range(3):
        await platform.accepted(f"before-{n}")
    async with live_page(platform) as page:
        for _ in range(3):
            await page.play()
        await platform.until("before-2", "played")
        # Nothing may grow beyond this many bytes, as on a full disk; the process ignores the signal that comes with it.
        resource.prlimit(started.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        await out_of_order(platform)
        assert 4205 == await page.closed()
        for n in range(5):
            assert 503 == (await platform.tip(f"during-{n}")).status_code
        resource.prlimit(started.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await until_ready(platform)
    await platform.accepted("t1")
    async with live_page(platform) as page:
        assert "t1" == (await page.play())["id"]
        await platform.until("t1", "played")
        assert [] == await page.tips_so_far()
    tips = (await platform.http.get("/tips?limit=1000")).json()["tips"]
    assert ["before-0", "before-1", "before-2", "t1"] == [tip["id"] for tip in tips][:4]


async def test_a_stop_holds_on_a_full_disk(started):
    """What a body feels does not wait for a disk: the page is told, and no tip is sent until somebody releases."""
    platform = started.platform
    async with live_page(platform) as page:
        resource.prlimit(started.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        stopped = await platform.stop()
        assert 503 == stopped.status_code
        await page.next("stop")
        await page.closed()
        resource.prlimit(started.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await until_ready(platform)
    async with live_page(platform) as page:
        assert (True, True) == (page.welcome["held"], page.welcome["stopped"])


def without_override():
    """In the child: root, too, has to respect a file's mode (CAP_DAC_OVERRIDE leaves the bounding set)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="file modes bind root only without a capability of Linux")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_read_only_database_is_said_and_survived(started, relay_process, tmp_path):
    """503 and not ready; once it may be written again, it goes on by itself."""
    await started.platform.accepted("t0")
    started.terminate()
    await started.ended()
    database = tmp_path / "relay.db"
    database.chmod(0o444)
    process = relay_process()
    async with await process.start(preexec_fn=without_override if 0 == os.geteuid() else None) as platform:
        why = await out_of_order(platform)
        assert "readonly" in why or "read-only" in why
        database.chmod(0o644)
        await until_ready(platform)
        await platform.accepted("t1")
        assert "accepted" == (await platform.receipt("t0"))["status"]


@pytest.fixture
async def served_from(monkeypatch, tmp_path):
    """A relay in this process on a given file, which does not wait for the file to come."""
    monkeypatch.setattr(sqlite_writer, "OPENING_SECONDS", 0)
    async with AsyncExitStack() as stack:
        yield lambda path: stack.enter_async_context(serving(store=SqliteStore(str(path))))


async def test_a_folder_that_is_not_there_is_said_and_survived(served_from, tmp_path):
    """It starts, says what is wrong, and goes on once the folder is there."""
    platform = (await served_from(tmp_path / "later" / "relay.db")).platform
    await out_of_order(platform)
    (tmp_path / "later").mkdir()
    await until_ready(platform)
    assert 201 == (await platform.register()).status_code


async def test_a_file_that_is_no_database_is_left_alone(served_from, tmp_path):
    """503, and the file keeps what it held."""
    diary = "somebody's diary, not a database\n" * 100
    (tmp_path / "relay.db").write_text(diary)
    assert "not a database" in await out_of_order((await served_from(tmp_path / "relay.db")).platform)
    assert diary == (tmp_path / "relay.db").read_text()


async def test_a_backup_taken_while_running_is_whole(started, relay_process, tmp_path):
    """As docs/operations.md has it, while tips come; it opens elsewhere with every tip, and with cursors of its own."""
    for n in range(20):
        await started.platform.accepted(f"t{n}")
    copy = tmp_path / "backup" / "relay.db"
    copy.parent.mkdir()
    path = tmp_path / "relay.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as live:
        taking = asyncio.create_task(asyncio.to_thread(live.execute, f"VACUUM INTO '{copy}'"))
        while not taking.done():
            await started.platform.accepted(f"later{time.time()}")
        await taking
    with contextlib.closing(sqlite3.connect(copy)) as db:
        db.execute("DELETE FROM meta WHERE key = 'epoch'")
        db.commit()
    _, platform = await restarted(relay_process, RELAY_STORE=f"sqlite:///{copy}")
    async with platform:
        assert 20 <= len((await platform.http.get("/tips")).json()["tips"])
    shutil.rmtree(copy.parent, ignore_errors=True)


async def test_a_relay_that_recovered_keeps_its_log(started, relay_process, tmp_path):
    """After a fault of the disk it still holds its locks: whoever looks at the file with sqlite3 does not take its log
    away, and with it the tips that were answered since."""
    await started.platform.accepted("t1")
    await started.platform.http.get("/tips/t1")  # a connection that reads is there
    pid = started.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    assert 503 == (await started.platform.tip("t2")).status_code
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    async def taken():
        return 202 == (await started.platform.tip("t3")).status_code or None

    await eventually(taken)
    look = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('SELECT * FROM tips').fetchall()"
    looking = await asyncio.create_subprocess_exec(sys.executable, "-c", f"{look}; db.close()", tmp_path / "relay.db")
    assert 0 == await looking.wait()
    await started.platform.accepted("t4")
    await started.kill()
    _, platform = await restarted(relay_process)
    async with platform:
        assert {"t1", "t3", "t4"} <= {one["id"] for one in (await platform.http.get("/tips")).json()["tips"]}
