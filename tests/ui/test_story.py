"""One working day in the browser: a run is triggered, watched live to its end, explained, cleared, its log followed."""

from playwright.sync_api import expect

from tests.ui.conftest import Open
from tests.ui.site import Site


def test_a_run_is_triggered_watched_live_to_its_end_its_log_followed_and_cleared(site: Site, open_page: Open) -> None:
    page = open_page("/dags")
    page.get_by_role("button", name="Trigger slow").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("More: run id, logical date, note").click()
    dialog.get_by_role("textbox", name="Run id").fill("story")
    dialog.get_by_role("button", name="Trigger", exact=True).click()
    page.get_by_role("link", name="Open the run").click()

    # The run goes on: what follows changes without a reload.
    main = page.get_by_role("main")
    expect(main.get_by_role("heading").first).to_contain_text("story")
    main.get_by_role("link", name="watch").first.click()
    log = page.get_by_role("main")
    expect(log).to_contain_text("line 19 of the beginning")
    expect(log).not_to_contain_text("the end is reached")

    # Why does the task after it not run?
    other = open_page("/dags/slow/runs/story/tasks/after")
    expect(other.get_by_role("main")).to_contain_text("Why it does not run")
    expect(other.get_by_role("main")).to_contain_text("watch (running)")

    site.release("go")
    expect(log).to_contain_text("the end is reached")
    expect(log).to_contain_text("The end of the log")
    expect(other.get_by_role("main")).to_contain_text("success")

    # Cleared: it says first what it will touch.
    page.goto("/dags/slow/runs/story")
    expect(page.get_by_role("main")).to_contain_text("success")
    page.get_by_role("main").get_by_role("button", name="Clear", exact=True).click()
    page.get_by_role("menuitem", name="Clear all tasks").click()
    confirm = page.get_by_role("dialog")
    expect(confirm).to_contain_text("watch")
    expect(confirm).to_contain_text("after")
    confirm.get_by_role("button", name="Clear").last.click()
    page.goto("/dags/slow/runs/story/tasks/watch")
    expect(page.get_by_role("main")).to_contain_text("Try 2")
    site.airloom("dags", "trigger", "slow", "--run-id", "after-story", "--wait")


def test_a_link_shows_what_was_seen(open_page: Open) -> None:
    page = open_page("/dags")
    page.get_by_role("textbox", name="Search id, description, tags").fill("sal")
    expect(page.get_by_role("main")).not_to_contain_text("broken")
    page.wait_for_url(lambda url: "sal" in url)
    again = open_page(page.url)
    expect(again.get_by_role("main")).to_contain_text("sales")
    expect(again.get_by_role("main")).not_to_contain_text("crowded")


def test_the_keyboard_leads_everywhere(open_page: Open) -> None:
    page = open_page("/")
    expect(page.get_by_role("main").get_by_role("heading").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("sales")
    expect(page.get_by_role("option").first).to_contain_text("sales")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/dags/sales" in url)


def test_who_logs_out_is_out(site: Site, open_page: Open) -> None:
    page = open_page("/")
    # A session of its own, so that the one of the other tests lives on.
    link = site.airloom("users", "link", "admin", "-o", "json")
    assert "login#code=" in link
    page.context.clear_cookies()
    code = link.split("login#code=")[1].split('"')[0]
    page.goto(f"/login#code={code}")
    page.wait_for_url(lambda url: "/login" not in url)
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("menuitem", name="Log out").click()
    page.wait_for_url(lambda url: "/login" in url)
    # Whoever uses the link a second time is told what to do.
    page.goto("/dags")
    page.wait_for_url(lambda url: "/login" in url)
