"""The page for people: our one verdict on top, charts below, and nothing that it must fetch from anywhere."""

import re

import pytest

from kit.home import Home
from monitoring.drift import job
from monitoring.drift.reference import Reference
from monitoring.drift.report.page import columns_that_matter
from monitoring.settings import MonitoringSettings
from records.engine import Records
from tests.monitoring.traffic import after, record, resampled, rows_of

pytestmark = pytest.mark.xdist_group("evidently")


async def test_the_page_brings_all_it_needs_and_one_verdict(
    records: Records, home: Home, settings: MonitoringSettings, reference: Reference
) -> None:
    """Hostile request ids are text on it; a policy forbids the browser to ask any address."""
    rows = rows_of(
        reference, resampled(reference, 250), name="<script>alert(1)</script>", numbers=lambda m: m * 0
    )
    await record(records, rows)
    settings = settings.model_copy(update={"report_when": "drift", "report_columns": 4, "report_rows": 200})
    outcome = await job.run(records, home, settings, now=after(1.5))
    (result,) = outcome.results
    assert {family.family for family in result.drifted} == {"header", "structure", "sender"}
    assert result.report is not None
    assert result.report.is_relative_to(home.reports / "drift")
    page = result.report.read_text("utf-8")
    head, _, body = page.partition("<body>")
    assert head.index("Content-Security-Policy") < head.index("<style")
    assert "default-src 'none'" in head
    # The verdict comes first, once, and in words; Evidently adds none of its own.
    assert body.index("Drift in header, structure, sender") < body.index("Columns that matter")
    assert "<script>alert" not in body
    assert "&lt;script&gt;alert(1)" in body
    for other in ("Dataset Drift", "Drift in column", "drift_share", "Drift detected"):
        assert f'"{other}' not in page
    names = columns_that_matter(result, 4)
    assert len(names) == 4
    for name in names:
        assert f'"{name}"' in head  # where Evidently keeps its figures
    # No tag of the page loads from an address.
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*\s(?:src|href)=[\"']?(?!data:)[a-z]+:", head) == []
    assert "fonts.googleapis" not in page
