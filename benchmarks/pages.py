"""The web UI in Chromium: the grid of 100 runs x 500 tasks is scrolled, a dag of 5,000 tasks is opened as a graph.

Chromium has no graphics card here and paints with the processor: a real screen does better.
"""

import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from airloom import settings
from airloom.model.spec import DagSpec, GroupSpec, TaskSpec
from airloom.store import leadership
from airloom.store.database import Database, connect
from airloom.store.migrate import migrate
from benchmarks import fill
from benchmarks.api_reads import serving
from benchmarks.figures import Figure, median, percentile

_FRAME = 1000 / 60
#: frames that are measured for each way of scrolling, and by how many pixels each goes on
_FRAMES, _STEP = 240, 30
_FRAMES_OF = """async ([selector, dx, dy, count]) => {
  const box = document.querySelector(selector)?.parentElement;
  const times = [];
  const [left, top] = box ? [box.scrollLeft, box.scrollTop] : [0, 0];
  let moved = 0;
  let last = await new Promise(requestAnimationFrame);
  for (let n = 0; n < count; n++) {
    const back = n >= count / 2 ? -1 : 1;
    if (box) box.scrollBy(back * dx, back * dy);
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
    if (box) moved = Math.max(moved, Math.abs(box.scrollLeft - left), Math.abs(box.scrollTop - top));
  }
  if (box && moved < 500) throw new Error(`it has scrolled by ${moved} pixels`);
  return times;
}"""
_LONG_TASKS = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: 'longtask', buffered: true });
}"""


def measure(folder: Path) -> list[Figure]:
    """On SQLite; the floor of scrolling is a page that only asks for frames."""
    home = folder / "home"
    home.mkdir()
    environment = {"AIRLOOM_HOME": str(home), "AIRLOOM__API__PORT": "0"}
    with closing(connect(settings.load(environment, home).settings.database.url)) as db:
        migrate(db)
        _fill(db)
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with serving(home, environment) as link, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(link)
        page.wait_for_url(lambda url: "/login" not in url)
        address = link.partition("/login")[0]
        figures = [*_grid(page, address), *_graph(page, address)]
        browser.close()
    return figures


def _fill(db: Database) -> None:
    with db.transaction() as conn:
        epoch = leadership.acquire(conn, "benchmark", time.time(), 3600.0)
    assert epoch is not None
    wide = fill.wide_dag("wide", 500)
    fill.add_history(db, epoch, wide, fill.save_dag(db, wide), 100)
    deep = DagSpec(
        dag_id="deep",
        groups=tuple(GroupSpec(group_id=f"g{number:02}") for number in range(50)),
        tasks=tuple(_task(number) for number in range(5000)),
    )
    fill.add_history(db, epoch, deep, fill.save_dag(db, deep), 1)
    with db.transaction() as conn:
        leadership.release(conn, "benchmark", epoch)


def _task(number: int) -> TaskSpec:
    group, place = divmod(number, 100)
    upstream = [f"g{group:02}.t{place - 1:02}"] if place else [f"g{group - 1:02}.t99"] if group else []
    return TaskSpec(task_id=f"g{group:02}.t{place:02}", group=f"g{group:02}", upstream=tuple(upstream))


def _grid(page: Page, address: str) -> list[Figure]:
    began = time.perf_counter()
    page.goto(f"{address}/dags/wide?limit=100")
    page.wait_for_selector("[role=grid]")
    opened = time.perf_counter() - began
    page.wait_for_timeout(1500)
    figures = [Figure(what="grid of 100 runs x 500 tasks: opened", ours=opened, unit="s", budget=1.0)]
    idle = page.evaluate(_FRAMES_OF, ["#none", 0, 0, _FRAMES])
    for what, dx, dy in (("sideways", -_STEP, 0), ("up and down", 0, _STEP)):
        frames: list[float] = page.evaluate(_FRAMES_OF, ["[role=grid]", dx, dy, _FRAMES])
        figures += [
            _frames(f"scrolled {what}: a frame, median", median(frames), median(idle), _FRAME * 1.05),
            _frames("the same, 95th percentile", percentile(frames, 0.95), percentile(idle, 0.95), None),
        ]
    return figures


def _frames(what: str, ours: float, floor: float, budget: float | None) -> Figure:
    return Figure(what=what, ours=ours, unit="ms", floor=floor, floor_is="the same page, not scrolled", budget=budget)


def _graph(page: Page, address: str) -> list[Figure]:
    page.goto(f"{address}/dags/deep/details")
    page.wait_for_selector("main h1")
    page.evaluate(_LONG_TASKS)
    began = time.perf_counter()
    page.get_by_role("link", name="Graph", exact=True).or_(page.get_by_role("tab", name="Graph", exact=True)).click()
    page.wait_for_selector(".react-flow__node")
    opened = time.perf_counter() - began
    page.wait_for_timeout(1500)
    long: list[Any] = page.evaluate("window.longTasks")
    return [
        Figure(what="graph of 5,000 tasks: opened", ours=opened, unit="s"),
        Figure(what="the longest that the page did not answer", ours=max(long, default=0.0), unit="ms", budget=200.0),
    ]
