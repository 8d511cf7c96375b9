"""Figures and tables reach a reader as they were measured, and only between the marks that are theirs."""

import re
from pathlib import Path

import pytest

from cli import bench_report, bench_summary
from cli.bench import MEASUREMENTS
from kit.benchmark import Figure, Report, Table
from kit.errors import UsageError

MACHINE = {"processor": "a processor", "cores": 2, "memory_gib": 8.0, "python": "3.11.0"}
REPORT = Report(
    [
        Figure(
            "a rate", 1234.5, "e-mails/s", aim="> 1000", peer="another", ratio=2.5, spread=(1200.0, 1300.25)
        )
    ],
    tables=[Table("Side by side", ("system", "rate"), [("ours", "10"), ("another", "4")], ["Ours: alone."])],
)

TARGETS = {
    "gateway": "cli.comparison.benchmark:gateway",
    "start-up": "cli.bench:start_up",
    "brand-new": "cli.bench:bench",
}
OVERVIEW = "".join(f"<!-- bench:{name} -->\n<!-- /bench:{name} -->\n" for name in ("method", "all"))


def test_every_part_of_the_page_belongs_to_a_measurement() -> None:
    """What was renamed or removed leaves no old figures behind."""
    page = bench_report.PAGE.read_text(encoding="utf-8")
    parts = re.findall(r"^<!-- bench:([a-z-]+) -->$", page, re.MULTILINE)
    assert set(parts) - {bench_summary.METHOD, bench_summary.ALL} <= set(MEASUREMENTS)
    assert len(parts) == len(set(parts)) > 0
    for name in parts:
        assert bench_report.replaced(page, name, "x\n", bench_report.PAGE).count("x\n<!-- /bench:") == 1


def test_figures_are_written_into_the_page_and_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each into its own part; a measurement that is new gets one at the end of the page."""
    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    page.write_text(
        f"# Page\n\n{OVERVIEW}<!-- bench:gateway -->\nold\n<!-- /bench:gateway -->\n", encoding="utf-8"
    )
    readme.write_text("# Readme\n\n<!-- bench:gateway -->\n<!-- /bench:gateway -->\nend\n", encoding="utf-8")
    monkeypatch.setattr(bench_report, "PAGE", page)
    monkeypatch.setattr(bench_report, "README", readme)
    for _ in range(2):
        bench_report.write({"gateway": REPORT, "brand-new": REPORT}, {}, MACHINE, TARGETS)
    written = page.read_text(encoding="utf-8")
    assert "old" not in written
    assert len(re.findall(r"^\| a rate \|", written, re.MULTILINE)) == 2
    assert written.count("<!-- bench:") == 4
    rate = "a rate | 1,234 e-mails/s (1,200 to 1,300) | > 1000 | 2.5 times another |"
    assert f"| `gateway` | {rate}" in written
    assert f"| `brand-new` | {rate}" in written
    assert "Not measured for this page yet: `start-up`." in written
    assert "### Brand-new\n\n<!-- bench:brand-new -->\nMeasured by" in written
    assert readme.read_text(encoding="utf-8").count("| a rate |") == 1
    assert readme.read_text(encoding="utf-8").endswith("<!-- /bench:gateway -->\nend\n")


def test_the_page_tells_what_is_measured_and_all_figures_as_they_stand_below() -> None:
    """A measurement that is added, or a part that is written, is in both tables; then run --write."""
    page = bench_report.PAGE.read_text(encoding="utf-8")
    assert bench_report.with_overview(page, MEASUREMENTS) == page


def test_a_measurement_without_a_function_is_noticed() -> None:
    """The sentence comes from its docstring."""
    with pytest.raises(LookupError, match="no function"):
        bench_summary.method({"new": "cli.bench:nothing"})


def test_the_overview_takes_figures_whose_names_hold_a_bar_and_leaves_out_what_is_empty() -> None:
    """Rows are cut from their end."""
    report = Report([Figure("max |difference|", 0.5, "", note="of 3")])
    part = bench_report.markdown("one", report, {}, MACHINE)
    page = f"<!-- bench:one -->\n{part}<!-- /bench:one -->\n<!-- bench:two -->\n<!-- /bench:two -->\n"
    table = bench_summary.overview(page, {"one": "", "two": ""})
    assert "| `one` | max \\|difference\\| | 0.5 |  |  | " in table
    assert "Not measured for this page yet: `two`." in table


def test_the_readme_has_a_part_for_the_gateway() -> None:
    """The table that people see first."""
    readme = bench_report.README.read_text(encoding="utf-8")
    begin, end = bench_report.marks(bench_report.IN_README)
    assert readme.index(begin) < readme.index(end)


def test_a_part_is_replaced_and_the_rest_stays() -> None:
    """Twice is as once."""
    text = "before\n<!-- bench:one -->\nold\n<!-- /bench:one -->\nafter\n"
    once = bench_report.replaced(text, "one", "new\n", Path("page.md"))
    assert once == "before\n<!-- bench:one -->\nnew\n<!-- /bench:one -->\nafter\n"
    assert bench_report.replaced(once, "one", "new\n", Path("page.md")) == once


def test_a_document_without_the_marks_is_not_written() -> None:
    """The error says which lines are missing."""
    with pytest.raises(UsageError, match=r"page\.md has no part for one") as refused:
        bench_report.replaced("nothing", "one", "new\n", Path("page.md"))
    assert "<!-- bench:one -->" in str(refused.value.next_step)


def test_a_part_holds_figures_with_spread_and_ratio_tables_and_what_is_missing() -> None:
    """A reader sees the aim, the peer, the machine, and what could not be measured with its reason."""
    missing = {"one: a peer": UsageError("Its environment is not there.", next_step="Run make peers.")}
    part = bench_report.markdown("one", REPORT, missing, MACHINE)
    assert "a processor, 2 cores, 8 GiB, Python 3.11.0" in part
    assert "| a rate | 1,234 e-mails/s (1,200 to 1,300) | > 1000 | 2.5 times another |  |" in part
    assert "| ours | 10 |" in part
    assert "- Ours: alone." in part
    assert "one: a peer: not measured. Its environment is not there." in part


def test_the_file_holds_machine_versions_figures_and_tables() -> None:
    """The versions of the peers are those of their locks."""
    found = bench_report.document({"one": REPORT}, {})
    assert found["figures"]["one"][0]["spread"] == (1200.0, 1300.25)
    assert found["tables"]["one"][0]["title"] == "Side by side"
    assert {"mlserver", "bentoml", "ray", "kserve", "mlflow", "onnxruntime"} <= found["machine"][
        "versions"
    ].keys()
    assert found["machine"]["cores"] >= 1
