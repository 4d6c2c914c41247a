"""Every page, in light and dark, while runs go on: it opens, says what it should, and is accessible."""

import json
import os
import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.ui.conftest import Open
from tests.ui.site import Site
from tests.waiting import wait_for

#: name -> path, and a text that its main part must show
PAGES: dict[str, tuple[str, str]] = {
    "home": ("/", "broken"),
    "dags": ("/dags", "sales"),
    "dag-grid": ("/dags/sales", "extract"),
    "dag-graph": ("/dags/sales/graph", "report"),
    "dag-gantt": ("/dags/sales/gantt", "report"),
    "dag-calendar": ("/dags/harbour/calendar", "20"),
    "dag-runs": ("/dags/sales/runs", "first"),
    "dag-code": ("/dags/sales/code", "BashOperator"),
    "dag-details": ("/dags/sales/details", "region"),
    "dag-durations": ("/dags/sales/durations", "Median"),
    "runs": ("/runs", "first"),
    "run": ("/dags/sales/runs/first", "total"),
    "run-failed": ("/dags/broken/runs/bad", "ZeroDivisionError"),
    "task-log": ("/dags/sales/runs/first/tasks/extract.customers", "green"),
    "task-xcom": ("/dags/sales/runs/first/tasks/extract.customers/xcom", "return_value"),
    "task-rendered": ("/dags/sales/runs/first/tasks/report/rendered", "region north"),
    "task-waiting": ("/dags/crowded/runs/full/tasks/second", "one_slot"),
    "task-mapped": ("/dags/sales/runs/first/tasks/price?map_index=1", "pricing"),
    "pools": ("/pools", "one_slot"),
    "workers": ("/workers", "default"),
    "variables": ("/variables", "region"),
    "connections": ("/connections", "warehouse"),
    "import-errors": ("/import-errors", "nothing_of_that_name"),
    "users": ("/users", "admin"),
    "tokens": ("/tokens", ""),
    "audit": ("/audit", "trigger"),
}


@pytest.fixture(scope="module")
def lived(site: Site) -> Site:
    """The site after some life: runs that went well, failed, go on and wait."""
    site.run("sales", "first")
    site.run("sales", "second")
    site.run("broken", "bad", status=1)
    site.airloom("variables", "set", "region", "north")
    site.airloom("connections", "add", "warehouse", "--uri", "postgres://ann:hush@db.example.org:5432/sales")
    site.airloom("dags", "trigger", "crowded", "--run-id", "full")
    site.airloom("dags", "trigger", "slow", "--run-id", "long")
    wait_for(
        lambda: len(json.loads(site.airloom("runs", "list", "harbour", "-o", "json", "--limit", "99"))) > 30, "runs"
    )
    return site


def check_accessibility(page: Page) -> None:
    """Fail on what keeps somebody from using the page."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()


def settle(page: Page) -> None:
    """Wait until nothing loads any more: no spinner, no pending request for data."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.evaluate("document.fonts.ready")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_it_is_for_and_is_accessible(
    lived: Site, open_page: Open, pictures: Path, name: str, theme: str
) -> None:
    path, text = PAGES[name]
    page = open_page(path, theme)
    main = page.get_by_role("main")
    expect(main.get_by_role("heading").first).to_be_visible()
    if text:
        expect(main).to_contain_text(text)
    settle(page)
    page.screenshot(path=pictures / f"{name}-{theme}.png")
    check_accessibility(page)
    assert page.evaluate("window.broken") is None, "a script that was stored in a log, an XCom or a text has run"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"


def test_a_page_that_is_not_there_says_so_and_leads_back(open_page: Open) -> None:
    page = open_page("/nowhere/at/all")
    expect(page.get_by_role("main")).to_contain_text("/nowhere/at/all")
    page.get_by_role("main").get_by_role("link").first.click()
    expect(page.get_by_role("main")).not_to_contain_text("/nowhere/at/all")


#: the pictures of the README: name -> path, theme, a text to wait for
PICTURES: dict[str, tuple[str, str, str]] = {
    "home": ("/", "light", "sea"),
    "dag-grid": ("/dags/harbour", "light", "cargo"),
    "dag-graph": ("/dags/harbour/graph", "dark", "ledger"),
    "task-log": ("/dags/slow/runs/long/tasks/watch", "light", "line 19"),
    "task-waiting": ("/dags/crowded/runs/full/tasks/second", "dark", "one_slot"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_readmes_pictures_are_of_what_there_is(lived: Site, open_page: Open, pictures: Path, name: str) -> None:
    """With AIRLOOM_PICTURES=FOLDER they go there, too: `AIRLOOM_PICTURES=docs/images make test`."""
    path, theme, text = PICTURES[name]
    page = open_page(path, theme)
    page.set_viewport_size({"width": 1280, "height": 760})
    if name != "home":
        expect(page.get_by_role("main")).to_contain_text(text)
    settle(page)
    picture = pictures / f"readme-{name}-{theme}.png"
    page.screenshot(path=picture, animations="disabled")
    if folder := os.environ.get("AIRLOOM_PICTURES"):
        shutil.copyfile(picture, Path(folder) / f"{name}-{theme}.png")
