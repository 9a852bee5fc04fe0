"""The report's figures, for pages that take images alone."""

from __future__ import annotations

from xml.etree import ElementTree

from tasks.record.record import read
from tasks.report.page import render
from tasks.report.pictures import pictures
from tests.support import reportdata


def test_each_figure_of_a_report_is_an_image_by_itself() -> None:
    rounds = reportdata.rounds(3, 16)
    page = render(read(reportdata.record(rounds)), rounds)
    found = pictures(page)
    assert len(found) == page.count('<figure class="plot">') > 1
    assert found[0][0] == "Time to first token"
    for _, label, svg in found:
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg" and label
        height = int(root.attrib["height"])
        inner = [node for node in root.iter() if node.attrib.get("role") == "img"]
        assert [int(node.attrib["height"]) < height for node in inner] == [True]
        assert "http" not in svg.replace("http://www.w3.org", "")


def test_a_page_without_figures_has_none() -> None:
    assert pictures("<p>refused</p>") == []
