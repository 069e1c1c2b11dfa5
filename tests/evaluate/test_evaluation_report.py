"""The report: whole, harmless, the same twice, and the same figures in both documents."""

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from evaluate.report_folder import EXPERIMENT, HOSTILE, METHODS, full, write_folder

from video4spatial.cli import main
from video4spatial.commands.report import write_report
from video4spatial.evaluate.generated import VideoOutcome
from video4spatial.evaluate.report.blocks import Plot, Point
from video4spatial.evaluate.report.document import PAPER_LINK, make_report
from video4spatial.evaluate.report.examples import path_words, ranked
from video4spatial.evaluate.report.folder import Measured, Shown
from video4spatial.evaluate.report.plot import plot_svg
from video4spatial.evaluate.report.tables import outcomes
from video4spatial.evaluate.run import Row

SCORED = [Row("full", str(n), "grounding", 0, VideoOutcome.OK, values={"sd": n / 10}) for n in range(5)]
VOID = {"meta", "img", "br", "path", "circle", "rect"}


class Page(HTMLParser):
    """What is in a page: its tags with attributes, its tables as texts, and whether all that opens also closes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.tables, self.open, self._cell = [], [], [], None
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag
        if tag in ("th", "td"):
            self._cell = None

    def handle_data(self, data):
        if self._cell and self.tables:
            self.tables[-1][-1][-1] += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """An evaluated folder whose experiment has curves, a row that was not run, and a method without videos."""
    root = tmp_path_factory.mktemp("report") / "by-hand"
    folder = write_folder(root, METHODS)
    folder.experiment.write_text(json.dumps(EXPERIMENT))
    return root


@pytest.fixture(scope="module")
def report(reported):
    return make_report([Measured.load(reported)])


@pytest.fixture(scope="module")
def page(report):
    return Page(report.html)


def figures(text):
    return re.findall(r"[-+]?\d+\.\d+", text)


def test_html_and_markdown_show_the_same_tables(report, page):
    lines = report.markdown.splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    ours = [row for table in page.tables for row in table]
    assert len(rows) == len(ours) > 30
    for line, row in zip(rows, ours, strict=True):
        cells = re.split(r"(?<!\\) \| ", line[2:-2])
        assert len(cells) == len(row)
        for one, other in zip(cells, row, strict=True):
            assert figures(html.unescape(one)) == figures(other)
    for verdict in ("agrees", "undecided", "not measured"):
        assert verdict in report.html
        assert verdict in report.markdown


def test_a_page_asks_for_nothing_and_runs_nothing(page, report):
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "poster"):
                assert value.startswith("data:")
            if name == "href":
                assert value.startswith("#") or value == PAPER_LINK
    assert "url(" not in report.html
    assert "@import" not in report.html
    policy = next(of["content"] for of in page.of("meta") if "http-equiv" in of)
    assert "default-src 'none'" in policy
    assert "script" not in policy


def test_a_page_can_be_read_without_seeing_it(page):
    assert page.of("html")[0]["lang"] == "en"
    assert page.of("title")
    assert len(page.of("caption")) == len(page.of("table")) == len(page.tables)
    assert all(of["scope"] in ("col", "row") for of in page.of("th"))
    assert all(of["alt"] for of in page.of("img"))
    assert all(of["aria-label"] for of in page.of("video"))
    assert len(page.of("svg")) == 2
    assert all("context frames" in of["aria-label"] for of in page.of("svg"))


def test_the_same_folders_give_the_same_bytes(reported, tmp_path):
    for number in (1, 2):
        write_report([reported], tmp_path / f"{number}.html", tmp_path / f"{number}.md")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
    assert (tmp_path / "1.md").read_bytes() == (tmp_path / "2.md").read_bytes()


def test_outcomes_add_up_and_an_empty_method_is_there(reported):
    measured = Measured.load(reported)
    for task in measured.tasks:
        table = outcomes(measured, task)
        assert [row[0].text for row in table.rows] == ["full", "alike", "empty", "partly", "worse"]
        for row in table.rows:
            *counts, total, asked = (cell.text for cell in row[1:])
            assert sum(map(int, counts)) == int(total) == task.cases
            assert asked.endswith(f"= {total}")
    grounding = {row[0].text: row[1:] for row in outcomes(measured, measured.tasks[0]).rows}
    assert [cell.text for cell in grounding["empty"]][:2] == ["0", "10"]


def test_what_is_not_there_is_said(report):
    text = " ".join(report.markdown.split())
    assert "Elsewhere: made elsewhere" in text
    assert "told not computed: nothing was told (videos: partly 1)" in text
    assert "empty, missing 10: no grounding-0.mp4 in empty; " in text
    assert "; and 7 more" in text
    assert "SD, found: measured with a guess (stand-in)" in text
    assert "Directions: 5 = 1 agrees + 0 disagrees + 3 undecided + 1 not measured." in text


def test_differences_are_the_methods_minus_full_with_their_test(report):
    row = next(line for line in report.markdown.splitlines() if line.startswith("| Worse") and "agrees" in line)
    sd = row.split(" | ")[1]
    assert sd == "+0.445; [+0.427, +0.463]; p = 0.002, 10 cases; paper +0.2900; agrees"
    assert "| 25 | – | 0.44; [0.11, 0.78], 9 of 10 |" in report.markdown  # the curve's table
    assert "| alike | +0.000; [-0.006, +0.006]; p = 1.000 |" in report.markdown


def test_best_median_and_worst_with_the_truth_beside(report, page):
    cards = [line for line in report.markdown.splitlines() if line.startswith(("- best", "- median", "- worst"))]
    assert [card.split(" (")[0] for card in cards[:3]] == [
        "- best: SD 0.100",
        "- median: SD 0.140",
        "- worst: SD 0.190",
    ]
    assert "The camera moves across a room. Finally, it focuses on the red box" in cards[0]
    assert "A path of 2.0 m that ends 2.0 m ahead." in cards[3]
    assert len(page.of("video")) == report.media.playable
    assert len(page.of("video")) + len(page.of("img")) == 12  # six cards, method and truth
    assert "full, box as read back" in report.html
    assert "full, no box could be read" in report.html
    for of in page.of("video"):
        assert of["src"].startswith("data:video/mp4;base64,")
        assert of["poster"].startswith("data:image/webp;base64,")


def test_a_page_without_room_shows_last_frames_and_says_so(reported):
    small = make_report([Measured.load(reported)], room=0)
    assert small.media.playable == 0
    assert small.media.left_out > 0
    assert "<video" not in small.html
    assert f"0 clips on this page can be played; {small.media.left_out} show only their last frame" in small.html


def test_videos_that_have_gone_since_are_said_to_be_missing(tmp_path):
    folder = write_folder(tmp_path / "gone", {"full": full})
    for file in folder.method("full").glob("grounding-*.mp4"):
        file.unlink()
    text = make_report([Measured.load(folder.root)]).markdown
    assert "no video of full to show: no grounding-0.mp4 in full" in text


def test_hostile_texts_stay_texts(tmp_path):
    folder = write_folder(tmp_path / "hostile", {"full": full}, hostile=True)
    rows = [{**EXPERIMENT["rows"][0], "label": HOSTILE, "note": HOSTILE}, {**EXPERIMENT["rows"][3], "not_run": HOSTILE}]
    content = {**EXPERIMENT, "title": HOSTILE, "says": HOSTILE, "rows": rows, "curves": []}
    folder.experiment.write_text(json.dumps(content))
    report = make_report([Measured.load(folder.root)])
    page = Page(report.html)
    assert not page.of("script")
    assert [of["href"] for of in page.of("a")] == [PAPER_LINK]
    assert report.html.count("<table>") == len(page.tables)
    assert "<script" not in report.markdown
    assert not re.search(r"(?<!\\)\]\(", report.markdown)
    widths = {}
    for block in re.findall(r"(?:^\|.*\n)+", report.markdown, flags=re.M):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1, block
        widths[block] = counts
    assert widths


def test_several_folders_have_contents_and_one_clip_each(reported):
    twice = make_report([Measured.load(reported), Measured.load(reported)])
    once = make_report([Measured.load(reported)])
    assert twice.media.playable == once.media.playable
    assert [of["href"] for of in Page(twice.html).of("a")][1:] == ["#part-1", "#part-2"]
    assert "appear again as their last frame" in twice.html


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda results: results.pop("columns"), "older version"),
        (lambda results: results.pop("tables"), "'tables' is missing"),
        (lambda results: results.update(format=2), "format 1"),
        (lambda results: results["rows"][0].update(outcome="lost"), "not what `evaluate` writes"),
        (lambda results: results["columns"]["sd"].update(better="bigger"), "better is 'bigger'"),
    ],
)
def test_results_that_are_none_are_named(reported, tmp_path, change, said, capsys):
    results = json.loads((reported / "results.json").read_text())
    change(results)
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "page.html")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "results.json" in told
    assert not (tmp_path / "page.html").exists()


def test_the_command_writes_both_and_refuses_what_it_cannot_use(reported, tmp_path, capsys):
    page, twin = tmp_path / "page.html", tmp_path / "page.md"
    assert main(["report", str(reported), "--out", str(page), "--markdown", str(twin), "--metric", "found"]) == 0
    assert "clips to play" in capsys.readouterr().out
    assert "best: found yes" in twin.read_text()
    assert main(["report", str(reported), "--out", str(page), "--metric", "nonsense"]) == 2
    assert "found, sd" in capsys.readouterr().err
    assert main(["report", str(reported), "--out", str(page), "--method", "nobody"]) == 2
    assert "alike, empty, full" in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--out", str(page)]) == 2
    assert "evaluate" in capsys.readouterr().err


def test_ranks():
    lower = Shown("sd", "SD", "lower", False, 3)

    def places(count, column=lower):
        return [(entry.place, entry.row.case_id) for entry in ranked(SCORED[:count], "grounding", "full", column)]

    assert places(0) == []
    assert places(1) == [("best", "0")]
    assert places(2) == [("best", "0"), ("worst", "1")]
    assert places(4) == [("best", "0"), ("median", "1"), ("worst", "3")]
    assert places(5)[1] == ("median", "2")
    assert places(5, replace(lower, better="higher"))[0] == ("best", "4")
    assert places(5, replace(lower, better=None))[0] == ("highest", "4")


def test_plots_hold_every_mark_and_leave_gaps():
    points = [Point(1, 0.5, 0.4, 0.6, 0.9), Point(2, paper=0.1), Point(3, 0.7, 0.7, 0.7), Point(4, 0.6, 0.5, 0.8)]
    svg = plot_svg(Plot('a "title" <b>', "n", points, 2))
    assert svg.count('class="dot"') == 3
    assert svg.count('class="mark"') == 2
    assert svg.count('class="ours"') == 1  # 3 to 4: nothing was measured at 2
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]
    assert heights[0] > heights[2] > heights[1]  # larger is higher up
    assert all(0 < y < 230 for y in heights)
    assert "2: not measured, the paper 0.1" in svg
    assert "<b>" not in svg
    for few in ([], [Point(1)], [Point(1, 0.5, 0.5, 0.5)], [Point(1, 0.0, 0.0, 0.0), Point(2, 0.0, 0.0, 0.0)]):
        assert plot_svg(Plot("t", "x", few)).startswith("<svg")


def test_paths_in_words():
    c2w = np.tile(np.eye(4), (3, 1, 1))
    assert path_words(c2w) == "A path of 0.0 m that ends where it began."
    turn = np.radians(-30)
    c2w[2, :3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    c2w[2, 0, 3] = -1.5
    assert path_words(c2w) == "A path of 1.5 m that ends 1.5 m to the left, 30 degrees turned to the left."
