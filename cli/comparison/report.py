"""From what was seen of each system to figures with aims, and one table side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cli.comparison.rounds import CONNECTIONS, OPEN, OPEN_RATE, ROUNDS, Measured
from kit.benchmark import Figure, Report, Table
from kit.errors import SluiceError

_MILLI: Final = 1e3
_MEBI: Final = 2**20
_MANY: Final = 16
_COLUMNS: Final = (
    "system", "does", "p50, ms, at 1", "e-mails/s at 16", "at 64", f"p99, ms, {OPEN_RATE}/s",
    "CPU, ms", "MiB", "failed or wrong", "gateway ÷ it", "alone ÷ it",
)  # fmt: skip


def report(found: Sequence[Measured], missing: Mapping[str, SluiceError]) -> Report:
    """Returns figures, table and every sample.

    `found` begins with the gateway, the transformer, and the gateway alone.
    """
    return Report(
        figures=figures(found),
        tables=[table(found)],
        missing=missing,
        details=[document(one) for one in found],
    )


def figures(found: Sequence[Measured]) -> list[Figure]:
    """Returns what the gateway promises, against the transformer asked directly in the same run."""
    gateway, behind, alone = found[:3]
    return [
        _time("gateway, 1 connection, p50", gateway, 1, "p50", behind, aim="< 3.5"),
        _rate("gateway, 16 connections", gateway, 16, behind, aim="> 700"),
        _rate("gateway, 64 connections", gateway, 64, behind),
        _time(f"gateway, {OPEN_RATE} requests a second, p99", gateway, OPEN, "p99", behind, aim="< 15"),
        _time("gateway alone, 1 connection, p50", alone, 1, "p50", behind),
        _rate("gateway alone, 16 connections", alone, 16, behind, aim="> 1000"),
        _rate("gateway alone, 64 connections", alone, 64, behind),
        _time(f"gateway alone, {OPEN_RATE} requests a second, p99", alone, OPEN, "p99", behind),
        Figure(
            "what the gateway adds to an e-mail, 1 connection, p50",
            (gateway.median(1, "p50") - behind.median(1, "p50")) * _MILLI,
            "ms",
        ),
        Figure(
            "what the gateway adds to an e-mail, 16 connections, processor time",
            (gateway.median(_MANY, "cpu") - behind.median(_MANY, "cpu")) * _MILLI,
            "ms",
        ),
        Figure("memory of the gateway", gateway.front_memory / _MEBI, "MiB", note="after the load"),
        Figure("memory of the gateway alone", alone.front_memory / _MEBI, "MiB", note="with the model"),
        *(figure for one in (gateway, alone) for figure in _truth(one)),
    ]


def table(found: Sequence[Measured]) -> Table:
    """Returns all systems side by side; the ratios are of e-mails a second at 16 connections."""
    gateway, alone = found[0], found[2]
    return Table(
        title="The gateway and its peers",
        columns=_COLUMNS,
        rows=[_row(one, gateway, alone) for one in found],
        notes=[
            f"Medians of {ROUNDS} rounds in which all took turns; in brackets the least and the largest.",
            "Loads are 1, 16 and 64 connections.",
            f"Ours alone are also asked {OPEN_RATE} times a second, whatever comes of it.",
            "CPU is the processor time of all processes for an e-mail at 16, MiB their memory after it.",
            "A ratio is of e-mails a second at 16.",
            *(f"{one.running.system.name}: {one.running.system.settings}." for one in found),
        ],
        wordy=["does"],
    )


def document(measured: Measured) -> dict[str, Any]:
    """Returns every sample of one system, for the file of figures."""
    system = measured.running.system
    return {
        "system": system.name,
        "does": system.does,
        "settings": system.settings,
        "answers": measured.answers,
        "failures": measured.failures,
        "wrong": measured.wrong,
        "wrong_for_want_of_the_sender": measured.unknown,
        "memory_bytes": measured.memory,
        "front_memory_bytes": measured.front_memory,
        "samples": {
            str(name): [sample._asdict() for sample in samples] for name, samples in measured.samples.items()
        },
    }


def _time(
    name: str, measured: Measured, load: int | str, figure: str, against: Measured, aim: str | None = None
) -> Figure:
    value = measured.median(load, figure)
    least, most = measured.spread(load, figure)
    return Figure(
        name, value * _MILLI, "ms", aim=aim,
        peer=_direct(against), ratio=value / against.median(load, figure),
        spread=(least * _MILLI, most * _MILLI),
    )  # fmt: skip


def _rate(name: str, measured: Measured, load: int, against: Measured, aim: str | None = None) -> Figure:
    value = measured.median(load, "per_second")
    return Figure(
        name, value, "e-mails/s", aim=aim, peer=_direct(against),
        ratio=value / against.median(load, "per_second"), spread=measured.spread(load, "per_second"),
    )  # fmt: skip


def _truth(measured: Measured) -> list[Figure]:
    which = "gateway" if measured.running.system.senders else "gateway alone"
    asked = f"of {measured.answers:,}"
    return [
        Figure(f"{which}: answers that were no 200", measured.failures, "", aim="0", note=asked),
        Figure(
            f"{which}: probabilities that differ from the direct answer",
            measured.wrong,
            "",
            aim="0",
            note=asked
            + (f"; {measured.unknown:,} by a lookup that took too long" if measured.unknown else ""),
        ),
        Figure(
            f"{which}: answers that are not in its records",
            measured.answers - measured.failures - measured.remembered,
            "",
            aim="0",
            note=f"{measured.remembered:,} rows",
        ),
    ]


def _row(measured: Measured, gateway: Measured, alone: Measured) -> tuple[str, ...]:
    system = measured.running.system
    return (
        system.name,
        system.does,
        _shown(measured, CONNECTIONS[0], "p50", _MILLI, digits=2),
        _shown(measured, _MANY, "per_second"),
        _shown(measured, CONNECTIONS[-1], "per_second"),
        _shown(measured, OPEN, "p99", _MILLI, digits=1) if OPEN in measured.samples else "",
        f"{measured.median(_MANY, 'cpu') * _MILLI:.2f}",
        f"{measured.memory / _MEBI:.0f}",
        f"{measured.failures + measured.wrong:,} of {measured.answers:,}",
        _ratio(gateway, measured),
        _ratio(alone, measured),
    )


def _shown(measured: Measured, load: int | str, figure: str, scale: float = 1, *, digits: int = 0) -> str:
    least, most = (value * scale for value in measured.spread(load, figure))
    value = measured.median(load, figure) * scale
    return f"{value:,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"


def _ratio(one: Measured, other: Measured) -> str:
    if one is other:
        return "1"
    return f"{one.median(_MANY, 'per_second') / other.median(_MANY, 'per_second'):.2f}"


def _direct(against: Measured) -> str:
    return f"{against.running.system.name}"
