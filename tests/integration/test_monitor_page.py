#!/usr/bin/python3
"""The monitor's page as people see it: in Chromium, on a phone and a desk, light and dark, when all
is well and when it is not. Keeps pictures in screenshots/ of the build directory."""
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import tlog  # noqa: E402
from browser import SIZES, Browser  # noqa: E402
from logd import BIN, courtroll, wait_until  # noqa: E402
from monitor import Monitor  # noqa: E402

BUILD = os.path.dirname(os.path.abspath(BIN))
PICTURES = os.path.join(BUILD, "screenshots")
CHECKER = os.path.join(BUILD, "page/node_modules/axe-core/axe.min.js")

COURT = "log.court.example/civil-2026"
APPEALS = "log.appeals.example/2026"
# What a log may call itself: markup, a name that has no place to break, and letters that turn the
# direction of writing.
HOSTILE = (
    "<script>document.title='owned'</script><img/src=//elsewhere.example/x.png/onerror=alert(1)>"
    "\"'</h3></article>&lt;\u202e\u2066" + "w" * 80
)
BIG = 24  # CSS pixels: what a finger can hit


class Served:
    """A log in a directory, of which every version appears at once."""

    def __init__(self, directory, origin, size):
        self.directory, self.origin = directory, origin
        self.current = os.path.join(directory, "current")
        self.versions = 0
        self.show(size)

    def log(self, size, mark=b""):
        """The log with `size` entries; another mark, another history under the same key."""
        log = tlog.Log(size, self.origin)
        log.witnesses = [
            tlog.Key(name, tlog.COSIGNATURE)
            for name in ("witness.bar.example", "witness.press.example", "witness.agency.example")
        ]
        log.entries[-1] += mark
        log.leaves[-1] = tlog.leaf_hash(log.entries[-1])
        return log

    def note(self, log, cosigners=3):
        now = int(time.time())
        return log.note([now if i < cosigners else None for i in range(3)])

    def show(self, size, cosigners=3):
        log, self.versions = self.log(size), self.versions + 1
        version = os.path.join(self.directory, f"v{self.versions}")
        log.write(version)
        with open(os.path.join(version, "checkpoint"), "w", encoding="utf-8") as file:
            file.write(self.note(log, cosigners))
        os.symlink(version, self.current + ".new")
        os.replace(self.current + ".new", self.current)

    def write_policy(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.log(1).policy(2, "file:" + self.current))
        return path


class PageCase(unittest.TestCase):
    origins = ()
    state = ""

    @classmethod
    def setUpClass(cls):
        assert os.path.exists(CHECKER), (
            "the accessibility checker is not installed, so nothing was checked: "
            f"tests/page/install {BUILD}/page (see what it said above in tests/run)"
        )
        cls.dir = tempfile.mkdtemp(prefix="courtroll.")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.inbox = os.path.join(cls.dir, "inbox")
        os.mkdir(cls.inbox)
        cls.logs = [
            Served(os.path.join(cls.dir, f"log{i}"), origin, 300)
            for i, origin in enumerate(cls.origins)
        ]
        cls.policies = [log.write_policy(log.directory + "/policy") for log in cls.logs]
        cls.monitor = Monitor(
            cls.policies, name="monitor.bar.example", vantage="file:" + cls.inbox,
            alert_command="/bin/true",
        )
        cls.addClassCleanup(cls.monitor.close)
        cls.prepare()
        cls.browser = Browser(cls.dir)
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def prepare(cls):
        """Brings the monitor where its page is to be looked at."""
        for size in (300, 412):
            for log in cls.logs:
                log.show(size)
            wait_until(lambda size=size: cls.held_sizes() == {size}, f"{size} are verified")
            time.sleep(1.1)  # so that the chart has two times

    @classmethod
    def held_sizes(cls):
        return {log["held_size"] for log in cls.monitor.status()["logs"]}

    def open(self, size="phone", scheme="light"):
        self.browser.look(size, scheme)
        self.browser.open(self.monitor.url("/"))
        # What is folded is a part of the page.
        self.fold(False)

    def fold(self, is_folded):
        self.browser.run(
            "for (const d of document.querySelectorAll('details')) { d.open = !arguments[0] }",
            is_folded,
        )

    def each_look(self, claim, sizes=("phone", "desktop")):
        """Calls claim(size, scheme) with the page open like that."""
        for size in sizes:
            for scheme in ("light", "dark"):
                with self.subTest(size=size, scheme=scheme):
                    self.open(size, scheme)
                    claim(size, scheme)


class Claims:
    """What holds whatever the page says; run by the classes below, each with a page of its own."""

    def test_pictures(self):
        def claim(size, scheme):
            self.fold(True)
            path = os.path.join(PICTURES, f"monitor-{size}-{scheme}-{self.state}.png")
            self.browser.picture(path)
            self.assertGreater(os.path.getsize(path), 10000)

        self.each_look(claim)

    def test_the_checker_finds_nothing(self):
        with open(CHECKER, encoding="utf-8") as file:
            checker = file.read()

        def claim(*_):
            self.browser.run(checker)
            found = self.browser.run_async(
                "const done = arguments[0];"
                "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',"
                " 'best-practice']}).then(done, error => done({error: String(error)}))"
            )
            self.assertNotIn("error", found)
            self.assertEqual([self.short(rule) for rule in found["violations"]], [])
            self.assertEqual([self.short(rule) for rule in found["incomplete"]], [])
            passed = {rule["id"] for rule in found["passes"]}
            self.assertGreater(len(passed), 15)
            self.assertLessEqual(
                {"color-contrast", "heading-order", "target-size", "svg-img-alt"}, passed
            )

        self.each_look(claim)

    @staticmethod
    def short(rule):
        return rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]]

    def test_nothing_is_wider_than_the_screen(self):
        def claim(size, _):
            width, scrolls, wide = self.browser.run(
                "const root = document.scrollingElement;"
                "return [innerWidth, root.scrollWidth,"
                " [...document.querySelectorAll('body *')].filter(e => !e.matches('.skip')"
                "   && !e.parentElement.closest('.scroll')"
                "   && e.getBoundingClientRect().right > root.clientWidth + 0.5)"
                "   .map(e => e.outerHTML.slice(0, 200))]"
            )
            self.assertEqual((width, scrolls), (SIZES[size][0], SIZES[size][0]))
            self.assertEqual(wide, [])

        self.each_look(claim, ("narrow", "phone", "desktop"))

    def test_text_is_large_enough(self):
        self.open()
        small = self.browser.run(
            "return [...document.querySelectorAll('body *')].filter(e => e.textContent.trim()"
            " && parseFloat(getComputedStyle(e).fontSize) < 14).map(e => e.outerHTML.slice(0, 200))"
        )
        self.assertEqual(small, [])

    def test_light_and_dark_are_two_looks(self):
        backs = {}

        def claim(_, scheme):
            backs[scheme] = self.browser.run(
                "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            )

        self.each_look(claim, ("phone",))
        self.assertGreater(min(backs["light"]), 230)
        self.assertLess(max(backs["dark"]), 40)

    def test_nothing_else_is_asked_for_and_nothing_runs(self):
        self.browser.requests()
        self.browser.complaints()
        self.browser.look("desktop", "light")
        self.browser.open(self.monitor.url("/"))
        urls = self.browser.requests()
        self.assertIn(self.monitor.url("/"), urls)
        ours = {self.monitor.url("/"), self.monitor.url("/favicon.ico")}
        self.assertEqual(set(urls) - ours, set())
        asked, scripts, handlers, title = self.browser.run(
            "return [performance.getEntriesByType('resource').map(e => e.name),"
            " document.scripts.length,"
            " [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a =>"
            "   /^on/i.test(a.name) || /^\\s*javascript:/i.test(a.value))).length, document.title]"
        )
        self.assertEqual((set(asked) - ours, scripts, handlers), (set(), 0, 0))
        self.assertEqual(title, "monitor.bar.example")
        self.assertEqual(
            [told for told in self.browser.complaints() if "favicon" not in told], []
        )
        policy = self.monitor.get("/").headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("script-src", policy)

    def test_headings_are_in_order(self):
        self.open()
        levels = self.browser.run(
            "return [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])"
        )
        self.assertEqual((levels[0], levels.count(1)), (1, 1))
        for before, after in zip(levels, levels[1:]):
            self.assertLessEqual(after, before + 1, levels)

    def test_a_chart_is_there_in_words_too(self):
        self.open()
        charts = self.browser.elements("figure svg[role=img]")
        self.assertEqual(len(charts), len(self.origins))
        for chart in charts:
            self.assertRegex(
                chart.accessible_name, r"^Size over time 300 entries on .*; (412|430) on "
            )
        tables = self.browser.run(
            "return [...document.querySelectorAll('figure + details table')].map(t => t.innerText)"
        )
        self.assertEqual(len(tables), len(charts))
        for table in tables:
            self.assertRegex(table, r"\b(412|430)\b")

    def test_the_first_key_skips_to_the_content(self):
        self.open()
        skip = self.browser.elements("a")[0]
        self.assertEqual(skip.get_attribute("href"), self.monitor.url("/#main"))

        def is_shown():
            self.browser.run("arguments[0].focus()", skip)
            return skip.rect["x"] >= 0

        self.assertLess(skip.rect["x"], 0)
        wait_until(is_shown, "the link is on the screen while it has the focus")

    def test_fingers_can_hit_what_can_be_opened(self):
        self.open()
        heights = self.browser.run(
            "return [...document.querySelectorAll('summary')]"
            ".map(e => e.getBoundingClientRect().height)"
        )
        self.assertGreaterEqual(min(heights), BIG)


class TestHonest(Claims, PageCase):
    origins = (COURT, APPEALS)
    state = "honest"

    def test_it_says_so_at_once(self):
        self.open()
        state = self.browser.elements(".state")[0]
        self.assertIn("All is well: 2 of 2 logs are verified.", state.text)
        self.assertLess(state.rect["y"] + state.rect["height"], SIZES["phone"][1])
        self.assertEqual(self.browser.elements("article.alert"), [])


class TestAlerts(Claims, PageCase):
    origins = (COURT, HOSTILE)
    state = "alerts"

    @classmethod
    def prepare(cls):
        super().prepare()
        court, hostile = cls.logs
        with open(os.path.join(cls.inbox, "from-a-reader"), "w", encoding="utf-8") as file:
            file.write(court.note(court.log(412, mark=b"another history"), 0))
        hostile.show(430, cosigners=1)
        cls.monitor.wait_alert("fork")
        alert = cls.monitor.wait_alert("no-quorum")
        comment = "The operator of <witness.bar.example> was called."
        cls.monitor.control("ack", "--comment", comment, alert["id"])
        cls.monitor.control("self-test")  # so that resolved ones are on the page, too

    def test_alerts_are_what_is_seen_first(self):
        self.open()
        state = self.browser.elements(".state")[0]
        self.assertIn("2 critical alerts are open. 2 of 2 logs are verified.", state.text)
        first = self.browser.elements("article")[0]
        self.assertIn("alert critical", first.get_attribute("class"))
        self.assertLess(first.rect["y"], SIZES["phone"][1])

    def test_all_evidence_downloads(self):
        self.open("desktop")
        links = self.browser.elements("article.alert a[download]")
        shown = [alert for alert in self.monitor.alerts() if alert["state"] != "resolved"]
        self.assertEqual({alert["code"] for alert in shown}, {"fork", "no-quorum"})
        self.assertEqual(len(links), len(shown))
        texts = {}
        for link in links:
            link.click()
            path = os.path.join(self.browser.downloads, link.text)
            wait_until(lambda path=path: os.path.exists(path), "the evidence was saved")
            with open(path, encoding="utf-8") as file:
                texts[path] = file.read()
        self.assertEqual(len(texts), len(links))
        codes = {}
        for path, text in texts.items():
            self.assertRegex(text, r"\Acourtroll ")
            for policy in self.policies:
                done = courtroll("verify-evidence", path, "--policy", policy)
                codes.setdefault(done.returncode, []).append(done.stdout)
        self.assertEqual(len(codes.get(0, [])), 1, codes)

    def test_a_name_is_a_text(self):
        self.open()
        page = self.browser.run("return document.body.innerText")
        self.assertIn(HOSTILE[:90], page)
        self.assertIn(r"\u{202e}", page)
        self.assertIsNone(re.search("[\u202a-\u202e\u2066-\u2069]", page))
        self.assertEqual(self.browser.elements("img, script, iframe, object, embed"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
