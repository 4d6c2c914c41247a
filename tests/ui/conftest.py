"""A browser, and a site for it on each kind of database."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, sync_playwright

from tests.faults.home import home_at
from tests.servers import PostgresServer
from tests.ui.site import Site

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1440, "height": 900}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of one site go to one worker: a second one would need a site of its own."""
    for item in items:
        if isinstance(item, pytest.Function) and item.path.parent == Path(__file__).parent:
            kind = item.callspec.params.get("site") if hasattr(item, "callspec") else None
            item.add_marker(pytest.mark.xdist_group(f"ui {kind}"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.fail("the tests of the web UI need Chromium: on Debian, apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with DAGs, on each kind of database."""
    folder = tmp_path_factory.mktemp("site")
    # Some tasks hold until a test lets them go: the others need slots beside them.
    settings: dict[str, object] = {"local__parallelism": 8}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        settings["database__url"] = server.url(server.create())
    with home_at(folder / "home", **settings) as home:
        yield Site(home)


@pytest.fixture(scope="session")
def logged_in(site: Site, browser: Browser) -> StorageState:
    """What the browser keeps after the one-time link was opened."""
    return log_in(browser, site.link)


def log_in(browser: Browser, link: str) -> StorageState:
    """Open a one-time link; what the browser keeps of it."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.wait_for_url(lambda url: "/login" not in url)
    state = context.storage_state()
    context.close()
    return state


class Watched:
    """A page whose errors are kept: whatever the browser complains of fails the test."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: self._heard(said.type, said.text))

    def _heard(self, kind: str, text: str) -> None:
        # Whether somebody is logged in is asked for; no is an answer, and the browser counts it as an error. Other
        # tests make networks on this machine; the browser then ends its requests, and the page asks again.
        if kind == "error" and "status of 401" not in text and "ERR_NETWORK_CHANGED" not in text:
            self.complaints.append(f"{self.page.url}: {text}")


#: opens a page in a theme
Open = Callable[..., Page]


@pytest.fixture
def open_page(site: Site, browser: Browser, logged_in: StorageState) -> Iterator[Open]:
    """Opens pages of the site as its administrator; whatever a browser complained of fails the test."""
    with opening(browser, site.address, logged_in) as open_it:
        yield open_it


@contextmanager
def opening(browser: Browser, address: str, state: StorageState) -> Iterator[Open]:
    """What opens pages of a server; whatever the browser complained of fails the test in the end."""
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    def open_it(path: str, theme: str = "light") -> Page:
        context = browser.new_context(
            base_url=address, storage_state=state, viewport=SIZE, color_scheme=theme, locale="en-GB"
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        watched.append(Watched(page))
        page.goto(path)
        return page

    yield open_it
    for context in contexts:
        context.close()
    complaints = [text for one in watched for text in one.complaints]
    assert complaints == []


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept."""
    folder = Path(__file__).parents[2] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
