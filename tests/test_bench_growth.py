"""Growth: a past that looks as if it had happened, and figures only where retention did its part."""

from __future__ import annotations

import json
from contextlib import closing
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest
from bench_kit import measured, use_a_place_of_its_own

from bench import growth, stores
from bench.place import BenchFailed
from bench.stores import Past
from bench.table import Results
from relay.stores.sqlite_rows import TIP_COLUMNS, receipt_from_row

SCHEMA = resources.files("relay.stores").joinpath("schema.sql").read_text()
NOW = 1_800_000_000.0
MANY = Past(2 * stores.SEEDS + 500)  # the last block is not a whole one


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    use_a_place_of_its_own(tmp_path_factory, monkeypatch)


@pytest.mark.parametrize("ids", stores.IDS)
def test_a_filled_store_holds_whole_closed_tips_of_thirty_days(tmp_path: Path, ids: str):
    """Each has an id of its own, in its row and in its record, and its time between thirty days ago and now."""
    past = Past(MANY.tips, ids)
    stores.fill(tmp_path / "a.db", SCHEMA, past, NOW)
    with closing(apsw.Connection(str(tmp_path / "a.db"))) as db:
        receipts = [receipt_from_row(row) for row in db.execute(f"SELECT {TIP_COLUMNS} FROM tips ORDER BY seq")]
        assert [receipt.tip.id for receipt in receipts] == [
            id for (id,) in db.execute("SELECT id FROM tips ORDER BY seq")
        ]
    assert [past.id(seq) for seq in range(1, past.tips + 1)] == [receipt.tip.id for receipt in receipts]
    assert not any(receipt.is_open for receipt in receipts)
    assert pytest.approx(NOW) == receipts[-1].accepted_at
    assert pytest.approx(NOW - 30 * 86400, abs=2 * past.seconds_each) == receipts[0].accepted_at


def test_a_filled_store_holds_the_feed_that_retention_leaves(tmp_path: Path):
    """Seven days of entries, in the order of their numbers, each about a tip that is there."""
    stores.fill(tmp_path / "a.db", SCHEMA, MANY, NOW)
    with closing(apsw.Connection(str(tmp_path / "a.db"))) as db:
        oldest, newest = db.execute("SELECT min(at), max(at) FROM entries").fetchone()
        strangers = "SELECT count(*) FROM entries WHERE json_extract(body, '$.tip') NOT IN (SELECT id FROM tips)"
        assert (0,) == db.execute(strangers).fetchone()
    assert NOW - 7 * 86400 <= oldest < NOW - 6.9 * 86400
    assert newest >= NOW


def test_a_column_that_nobody_knows_is_copied_as_it_is():
    """So that a new one in the schema does not keep the bench from running."""
    sql = stores.insert("tips", ["seq", "new"], "seeds", stores.TIP_LATER)
    assert "INSERT INTO tips (seq, new) SELECT seq + :tips, new FROM seeds" == sql


@pytest.mark.parametrize(
    ("sweeping", "gone", "why"),
    [(False, 0, None), (False, 7, "7 tips were swept"), (True, 0, "not sweeping"), (True, 950, "not sweeping")],
)
def test_figures_count_only_where_retention_did_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweeping: bool, gone: int, why: str | None
):
    """At rest nothing goes; while it sweeps something does, and there is something left to sweep."""
    with closing(apsw.Connection(str(tmp_path / "relay.db"))) as db:
        db.execute("CREATE TABLE tips (seq INTEGER PRIMARY KEY)")
        db.execute("INSERT INTO tips SELECT value FROM json_each(?)", (json.dumps(list(range(1, 1001))),))

        def figures(_: object) -> list[float]:
            db.execute("DELETE FROM tips WHERE seq <= ?", (gone,))
            return [1.0] * 6

        monkeypatch.setattr(growth, "figures", figures)
        stage = SimpleNamespace(server=SimpleNamespace(folder=tmp_path))
        if why is None:
            assert [*[1.0] * 6, None] == growth.watched(stage, Past(1000), sweeping)
        else:
            with pytest.raises(BenchFailed, match=why):
                growth.watched(stage, Past(1000), sweeping)


def results(**costs: float) -> Results:
    runs = [
        {"contender": name.replace("_", "-"), "part": "page", "column": "cost", "value": value}
        for name, value in costs.items()
    ]
    return Results("page", runs)


def test_the_verdict_compares_with_an_empty_store():
    """Within a fifth holds; a bench without one of the two has no verdict."""
    line = "cost per tip at 10 million stored tips: within 20 % of an empty store, is"
    held, missed, unknown = (results(empty=100, **{"10m-stored": cost} if cost else {}) for cost in (119, 121, 0))
    assert [f"holds  {line} +19 %"] == growth.verdicts(held)
    assert [f"MISSED {line} +21 %"] == growth.verdicts(missed)
    assert [] == growth.verdicts(unknown)


def test_a_chart_is_drawn_of_what_was_measured():
    """Mermaid, as GitHub shows it; one bar is none."""
    label = "{0.stored:,}".format
    text = growth.chart("Cost", results(empty=100, **{"10m-stored": 112.4}), growth.BY_STORED, label)
    assert '    x-axis ["0", "10,000,000"]\n    y-axis "µs a tip" 0 --> 135\n    bar [100, 112]' in text
    assert "" == growth.chart("Cost", results(empty=100), growth.BY_STORED, label)


@pytest.mark.parametrize("name", ["10m-stored", "sweeping"])
def test_growth_can_be_measured(place: None, name: str):
    """The relay begins with a past, and every tip is still counted."""
    point, shrink = growth.BY_NAME[name], 0.002
    measures = growth.measures(point, shrink)
    runs = measured(growth.contender(point, shrink), growth.PART, measures, shrink)
    columns = [column.name for column in growth.COLUMNS if column.name != "swept" or point.sweeping]
    assert columns == [run["column"] for run in runs], runs
    assert all(run["value"] > 0 for run in runs), runs
