"""What each alert must see to fire, and what just does not suffice, as series that promtool replays.

Series are written minute by minute: `level(0.81)` is a gauge that stays, `ramp((100, 10), (0, 5))` a counter
that grows by 100 in each of ten minutes and then rests for five.
"""

from dataclasses import dataclass, field
from typing import Final

Labels = dict[str, str]
_DAY: Final = 24 * 60


@dataclass(frozen=True)
class Case:
    """One alert over one course of things, looked at in certain minutes."""

    alert: str
    name: str
    series: dict[str, str]
    silent: tuple[int, ...] = ()
    """Minutes in which it must not fire."""
    fires: tuple[int, ...] = ()
    """Minutes in which it must, with exactly `labels`, beside those that the rule itself gives."""
    labels: tuple[Labels, ...] = field(default=({},))
    step: int = 1
    """Minutes between two samples, and between two evaluations: more where days are replayed."""


def level(value: float, minutes: int = 200, step: int = 1) -> str:
    """Returns a gauge that stays at `value`."""
    return f"{value}+0x{minutes // step}"


def then(*parts: tuple[float, int]) -> str:
    """Returns a gauge with each value for its number of minutes."""
    return " ".join(f"{value}+0x{minutes - 1}" for value, minutes in parts)


def ramp(*parts: tuple[float, int], step: int = 1) -> str:
    """Returns a counter that grows by each rate, a minute, for its number of minutes."""
    texts, value = [], 0.0
    for rate, minutes in parts:
        texts.append(f"{value}+{rate * step}x{minutes // step - 1}")
        value += rate * minutes
    return " ".join(texts)


def answers(
    status: int, values: str, *, environment: str = "production", route: str = "/v1/predict"
) -> Labels:
    """Returns the series of a gateway's answers of one status."""
    name = (
        f'sluice_gateway_requests_total{{route="{route}",environment="{environment}",version="2",'
        f'status="{status}",job="sluice-gateway",instance="gateway:8000"}}'
    )
    return {name: values}


def share(failed: float, minutes: int, total: float = 10_000, step: int = 1) -> dict[str, str]:
    """Returns answers of which a share fails from the first minute on."""
    return after_calm(failed, 0, minutes, total=total, step=step)


def after_calm(
    failed: float, calm: int, minutes: int, *, total: float = 10_000, before: float = 10_000, step: int = 1
) -> dict[str, str]:
    """Returns answers of which a share fails after `calm` minutes in which none did."""
    quiet = ((before, calm),) if calm else ()
    return {
        **answers(200, ramp(*quiet, (total * (1 - failed), minutes), step=step)),
        **answers(503, ramp(*((0, calm) for _ in quiet), (total * failed, minutes), step=step)),
    }


def slow(count_fast: float, count_slow: float, seconds: float, minutes: int = 60) -> dict[str, str]:
    """Returns latencies, a minute: so many below 50 ms, so many below one second, and the sum of all."""
    labels = 'route="/v1/predict",environment="production"'
    total = count_fast + count_slow
    buckets = {"0.05": count_fast, "0.25": count_fast, "1.0": total, "5.0": total, "+Inf": total}
    return {
        **{
            f'sluice_gateway_request_seconds_bucket{{{labels},le="{bound}"}}': ramp((count, minutes))
            for bound, count in buckets.items()
        },
        f"sluice_gateway_request_seconds_count{{{labels}}}": ramp((total, minutes)),
        f"sluice_gateway_request_seconds_sum{{{labels}}}": ramp((seconds, minutes)),
        **answers(200, ramp((total, minutes))),
    }


def tries(failed: float, total: float, minutes: int = 40) -> dict[str, str]:
    """Returns tries at a model server, a minute, and how many of them fail."""
    return {
        'sluice_gateway_upstream_seconds_count{environment="production"}': ramp((total, minutes)),
        'sluice_gateway_upstream_errors_total{environment="production",error="upstream_down"}': ramp(
            (failed, minutes)
        ),
    }


def senders(defaulted: float, messages: float, minutes: int = 60) -> dict[str, str]:
    """Returns what a transformer with the target label `environment` counts, a minute."""
    target = 'environment="production",job="sluice-transformer",instance="transformer:9000"'
    return {
        f'sluice_transformer_defaulted_senders_total{{reason="slow",{target}}}': ramp((defaulted, minutes)),
        f"sluice_transformer_messages_total{{{target}}}": ramp((messages, minutes)),
    }


def measured_at(
    metric: str, minute: int, minutes: int = 400, labels: str = "", step: int = 1
) -> dict[str, str]:
    """Returns a metric that holds the time of `minute`; replays begin at the time 0."""
    return {f"{metric}{labels}": level(minute * 60, minutes, step)}


GATEWAY: Final = '{job="sluice-gateway",instance="gateway:8000"}'
OTHER_GATEWAY: Final = '{job="sluice-gateway",instance="gateway:8001"}'
MODEL: Final = 'environment="production",model="a-model"'
PRODUCTION: Final = ({"environment": "production"},)
ON_GATEWAY: Final = ({"job": "sluice-gateway", "instance": "gateway:8000"},)


def _gateway_model(version: str, values: str, target: str = 'instance="gateway:8000"') -> dict[str, str]:
    return {f'sluice_gateway_model{{{MODEL},version="{version}",{target}}}': values}


def _deployed(version: str, values: str) -> dict[str, str]:
    return {f'sluice_deployed_model{{{MODEL},version="{version}"}}': values}


BUDGET: Final = (
    Case("SluiceErrorBudgetBurningFast", "just under six times", share(0.00599, 60), silent=(30, 59)),
    Case(
        "SluiceErrorBudgetBurningFast",
        "just over six times",
        share(0.00601, 60),
        silent=(2,),
        fires=(3, 59),
        labels=PRODUCTION,
    ),
    Case(
        "SluiceErrorBudgetBurningFast",
        "an hour just under 14.4 times, after calm",
        after_calm(0.01439, 360, 64, step=2),
        silent=(422,),
        step=2,
    ),
    Case(
        "SluiceErrorBudgetBurningFast",
        "an hour just over 14.4 times, after calm",
        after_calm(0.01441, 360, 70, step=2),
        silent=(420,),
        fires=(422, 426),
        labels=PRODUCTION,
        step=2,
    ),
    Case(
        "SluiceErrorBudgetBurningFast",
        "a burst that is over",
        {
            **answers(200, ramp((10_000, 360), (9_000, 14), (10_000, 60), step=2)),
            **answers(503, ramp((0, 360), (1_000, 14), (0, 60), step=2)),
        },
        fires=(372,),
        silent=(386, 430),
        labels=PRODUCTION,
        step=2,
    ),
    Case(
        "SluiceErrorBudgetBurningFast",
        "nine failures of few requests wake nobody",
        {**answers(200, ramp((2, 300))), **answers(500, ramp((0, 5), (1, 9), (0, 286)))},
        silent=(7, 12, 15, 60, 200),
    ),
    Case(
        "SluiceErrorBudgetBurningFast",
        "faults of callers and probes cost nothing",
        {
            **answers(200, ramp((100, 60))),
            **answers(422, ramp((1000, 60))),
            **answers(429, ramp((1000, 60))),
            **answers(499, ramp((1000, 60))),
            **answers(503, ramp((1000, 60)), environment="", route="/health/ready"),
            **answers(503, ramp((1000, 60)), route="/v1/predictions/{request_id}"),
        },
        silent=(10, 59),
    ),
    Case(
        "SluiceErrorBudgetBurningSlow",
        "just under the budget, for days",
        share(0.00099, 2 * _DAY, total=1000, step=30),
        silent=(390, 2 * _DAY - 30),
        step=30,
    ),
    Case(
        "SluiceErrorBudgetBurningSlow",
        "just over the budget",
        share(0.00101, 120, total=1000, step=5),
        silent=(20,),
        fires=(25, 115),
        labels=PRODUCTION,
        step=5,
    ),
    Case(
        "SluiceErrorBudgetBurningSlow",
        "a day just under three times, after two of much traffic",
        after_calm(0.00299, 2 * _DAY, _DAY + 60, total=1000, before=100_000, step=30),
        silent=(3 * _DAY, 3 * _DAY + 30),
        step=30,
    ),
    Case(
        "SluiceErrorBudgetBurningSlow",
        "a day just over three times, after two of much traffic",
        after_calm(0.00301, 2 * _DAY, _DAY + 60, total=1000, before=100_000, step=30),
        silent=(3 * _DAY - 60,),
        fires=(3 * _DAY + 30,),
        labels=PRODUCTION,
        step=30,
    ),
    Case("SluiceAvailabilityLow", "just under 2 %", share(0.0199, 120), silent=(119,)),
    Case(
        "SluiceAvailabilityLow",
        "just over 2 %",
        share(0.0201, 30),
        silent=(10,),
        fires=(11, 29),
        labels=PRODUCTION,
    ),
    Case("SluiceAvailabilityLow", "nine failures of few", share(0.05, 60, total=17), silent=(59,)),
    Case(
        "SluiceAvailabilityLow",
        "one environment fails, the other does not",
        {
            **answers(200, ramp((1000, 30))),
            **answers(200, ramp((900, 30)), environment="staging"),
            **answers(502, ramp((100, 30)), environment="staging"),
        },
        fires=(29,),
        labels=({"environment": "staging"},),
    ),
)

LATENCY: Final = (
    Case("SluiceLatencyHigh", "one in 101 above 250 ms", slow(1000, 9.9, 20), silent=(59,)),
    Case(
        "SluiceLatencyHigh",
        "one in 99 above 250 ms",
        slow(1000, 10.2, 20),
        silent=(10,),
        fires=(11, 59),
        labels=PRODUCTION,
    ),
    Case(
        "SluiceLatencyHigh",
        "slow, but fewer than 100 requests in ten minutes",
        slow(5, 4.5, 20),
        silent=(59,),
    ),
    Case("SluiceLatencyMeanHigh", "99 ms in the mean", slow(1000, 0, 99), silent=(59,)),
    Case(
        "SluiceLatencyMeanHigh",
        "101 ms in the mean",
        slow(1000, 0, 101),
        silent=(10,),
        fires=(11, 59),
        labels=PRODUCTION,
    ),
    Case(
        "SluiceLatencyMeanHigh",
        "slow, but fewer than 100 requests in ten minutes",
        slow(9, 0, 9),
        silent=(59,),
    ),
)

PROCESSES: Final = (
    Case(
        "SluiceGatewayDown",
        "one of two is up",
        {f"up{GATEWAY}": level(0), f"up{OTHER_GATEWAY}": level(1)},
        silent=(30,),
    ),
    Case(
        "SluiceGatewayDown",
        "all are down for a minute",
        {f"up{GATEWAY}": then((1, 10), (0, 10)), f"up{OTHER_GATEWAY}": then((1, 10), (0, 10))},
        silent=(9, 10),
        fires=(11, 19),
        labels=({"job": "sluice-gateway"},),
    ),
    Case("SluiceGatewayDown", "another job is down", {'up{job="other"}': level(0)}, silent=(30,)),
    Case(
        "SluiceProcessDown",
        "down for less than five minutes",
        {f"up{GATEWAY}": then((1, 5), (0, 5), (1, 10))},
        silent=(9, 10, 15),
    ),
    Case(
        "SluiceProcessDown",
        "down for five minutes",
        {f"up{GATEWAY}": then((1, 5), (0, 20)), f"up{OTHER_GATEWAY}": level(1)},
        silent=(9,),
        fires=(10, 20),
        labels=ON_GATEWAY,
    ),
    Case("SluiceProcessDown", "not one of ours", {'up{job="other"}': level(0)}, silent=(30,)),
)

GATEWAYS: Final = (
    Case("SluiceUpstreamErrors", "4.9 % of tries", tries(49, 1000), silent=(39,)),
    Case(
        "SluiceUpstreamErrors",
        "5.1 % of tries",
        tries(51, 1000),
        silent=(5,),
        fires=(6, 39),
        labels=PRODUCTION,
    ),
    Case("SluiceUpstreamErrors", "fewer than ten errors in five minutes", tries(1.9, 4), silent=(39,)),
    Case(
        "SluiceBreakerOpen",
        "open for less than two minutes",
        {f"sluice_gateway_breaker_open{{{MODEL}}}": then((0, 5), (1, 2), (0, 10))},
        silent=(6, 7, 10),
    ),
    Case(
        "SluiceBreakerOpen",
        "open, tried in between, for two minutes",
        {f"sluice_gateway_breaker_open{{{MODEL}}}": then((0, 5), (1, 1), (0.5, 1), (1, 10))},
        silent=(6,),
        fires=(7, 15),
        labels=({"environment": "production", "model": "a-model"},),
    ),
    Case(
        "SluiceSpoolFilling",
        "four fifths full",
        {
            f"sluice_gateway_spool_bytes{GATEWAY}": level(800),
            f"sluice_gateway_spool_limit_bytes{GATEWAY}": level(1000),
        },
        silent=(60,),
    ),
    Case(
        "SluiceSpoolFilling",
        "a byte more",
        {
            f"sluice_gateway_spool_bytes{GATEWAY}": level(801),
            f"sluice_gateway_spool_limit_bytes{GATEWAY}": level(1000),
        },
        silent=(4,),
        fires=(5, 60),
        labels=ON_GATEWAY,
    ),
    Case(
        "SluiceSpoolFilling",
        "no spool",
        {
            f"sluice_gateway_spool_bytes{GATEWAY}": level(0),
            f"sluice_gateway_spool_limit_bytes{GATEWAY}": level(0),
        },
        silent=(60,),
    ),
    Case(
        "SluiceRecordsDropped",
        "none was dropped since long ago",
        {'sluice_gateway_records_dropped_total{reason="full"}': ramp((0, 10), (5, 1), (0, 60))},
        fires=(11, 19),
        silent=(10, 22, 60),
        labels=({"reason": "full"},),
    ),
    Case("SluiceRateStoreDown", "up", {f"sluice_gateway_rate_store_up{GATEWAY}": level(1)}, silent=(60,)),
    Case(
        "SluiceRateStoreDown",
        "down for five minutes",
        {f"sluice_gateway_rate_store_up{GATEWAY}": then((1, 5), (0, 20))},
        silent=(9,),
        fires=(10, 20),
        labels=ON_GATEWAY,
    ),
)

_TRANSFORMER: Final = '{environment="staging",instance="transformer:9000"}'

MODELS: Final = (
    Case(
        "SluiceVersionMismatch",
        "as the ledger says",
        {**_gateway_model("2", level(1)), **_deployed("2", level(1))},
        silent=(60,),
    ),
    Case(
        "SluiceVersionMismatch",
        "a promotion of fourteen minutes",
        {
            **_gateway_model("1", then((1, 24), (0, 40))),
            **_gateway_model("2", then((0, 24), (1, 40))),
            **_deployed("2", then((1, 10), (1, 54))),
            **_deployed("1", "_x63"),
        }
        | {
            f'sluice_deployed_model{{{MODEL},version="1"}}': "1+0x9 stale",
            f'sluice_deployed_model{{{MODEL},version="2"}}': "_x10 1+0x53",
        },
        silent=(12, 24, 25, 60),
    ),
    Case(
        "SluiceVersionMismatch",
        "one of two gateways stays behind",
        {
            **_gateway_model("1", level(1)),
            **_gateway_model("2", level(1), 'instance="gateway:8001"'),
            **_deployed("2", level(1)),
        },
        silent=(14,),
        fires=(15, 60),
        labels=({"environment": "production", "model": "a-model", "version": "1"},),
    ),
    Case(
        "SluiceVersionMismatch",
        "the ledger does not know the model",
        _gateway_model("1", level(1)),
        silent=(60,),
    ),
    Case("SluiceVersionMismatch", "no gateway tells", _deployed("2", level(1)), silent=(60,)),
    Case(
        "SluiceVersionRefused",
        "a refusal",
        {
            f"sluice_transformer_refused_versions_total{_TRANSFORMER}": ramp((0, 10), (1, 1), (0, 60)),
        },
        silent=(10, 27),
        fires=(11, 24),
        labels=({"environment": "staging", "instance": "transformer:9000"},),
    ),
    Case("SluiceFeaturesDefaulted", "19.9 % of messages", senders(199, 1000), silent=(59,)),
    Case(
        "SluiceFeaturesDefaulted",
        "20.1 % of messages",
        senders(201, 1000),
        silent=(10,),
        fires=(11, 59),
        labels=PRODUCTION,
    ),
    Case("SluiceFeaturesDefaulted", "nine of few messages", senders(0.9, 2), silent=(59,)),
)

JOBS: Final = (
    Case(
        "SluiceDriftJobStale",
        "three hours ago",
        measured_at("sluice_drift_job_timestamp_seconds", 20),
        silent=(200,),
    ),
    Case(
        "SluiceDriftJobStale",
        "more than three hours ago, for ten minutes",
        measured_at("sluice_drift_job_timestamp_seconds", 20),
        silent=(210,),
        fires=(211, 399),
    ),
    Case(
        "SluiceDriftJobStale",
        "one of two processes read it late",
        {
            'sluice_drift_job_timestamp_seconds{instance="a"}': level(60, 300),
            'sluice_drift_job_timestamp_seconds{instance="b"}': level(9000, 300),
        },
        silent=(300,),
    ),
    Case(
        "SluiceDriftJobStale", "never", {"sluice_drift_job_timestamp_seconds": level(0, 400)}, silent=(400,)
    ),
    Case(
        "SluiceFeatureIngestStale",
        "more than an hour ago, for ten minutes",
        measured_at("sluice_features_ingest_timestamp_seconds", 20),
        silent=(80, 90),
        fires=(91, 200),
    ),
    Case(
        "SluiceFeatureIngestStale",
        "every hour",
        {"sluice_features_ingest_timestamp_seconds": then((60, 60), (3600, 60), (7200, 60))},
        silent=(59, 119, 179),
    ),
    Case(
        "SluiceDriftRunStale",
        "two days ago, with traffic",
        {
            **measured_at("sluice_drift_run_timestamp_seconds", 20, 3200, f"{{{MODEL}}}", step=10),
            **_gateway_model("2", level(1, 3200, 10)),
            **answers(200, ramp((1, 3200), step=10)),
        },
        silent=(2900, 2950),
        fires=(2970, 3190),
        labels=({"environment": "production", "model": "a-model", "version": "2"},),
        step=10,
    ),
    Case(
        "SluiceDriftRunStale",
        "two days ago, with fewer requests than a window needs",
        {
            **measured_at("sluice_drift_run_timestamp_seconds", 20, 3200, f"{{{MODEL}}}", step=10),
            **_gateway_model("2", level(1, 3200, 10)),
            **answers(200, ramp((0.138, 3200), step=10)),
        },
        silent=(2970, 3190),
        step=10,
    ),
    Case(
        "SluiceRetrainingFailing",
        "the first failure of a process",
        {
            'sluice_retraining_total{model="a-model",outcome="failed"}': "_x10 1+0x600",
            'sluice_retraining_total{model="a-model",outcome="started"}': ramp((1, 611)),
        },
        silent=(9, 371, 600),
        fires=(10, 369),
        labels=({"model": "a-model"},),
    ),
    Case(
        "SluiceRetrainingFailing",
        "a further failure",
        {'sluice_retraining_total{model="a-model",outcome="failed"}': then((3, 500), (4, 500))},
        silent=(499, 862),
        fires=(500, 858),
        labels=({"model": "a-model"},),
    ),
    Case(
        "SluiceRetrainingFailing",
        "other outcomes",
        {'sluice_retraining_total{model="a-model",outcome="cooldown"}': ramp((1, 100))},
        silent=(99,),
    ),
    Case(
        "SluiceRecordsUnreadable",
        "readable",
        {'sluice_monitoring_records_up{instance="m"}': level(1)},
        silent=(60,),
    ),
    Case(
        "SluiceRecordsUnreadable",
        "not for five minutes",
        {'sluice_monitoring_records_up{instance="m"}': then((1, 5), (0, 20))},
        silent=(9,),
        fires=(10, 20),
        labels=({"instance": "m"},),
    ),
    Case(
        "SluiceGatewayUnread",
        "read",
        {'sluice_monitoring_gateway_read{instance="m"}': level(1)},
        silent=(60,),
    ),
    Case(
        "SluiceGatewayUnread",
        "not for ten minutes",
        {'sluice_monitoring_gateway_read{instance="m"}': then((1, 5), (0, 20))},
        silent=(14,),
        fires=(15, 20),
        labels=({"instance": "m"},),
    ),
)

_OPEN: Final = 'sluice_alerts_open{environment="production",kind="data_drift",severity="%s"}'

MESSAGES: Final = (
    Case("SluiceCriticalAlertOpen", "a warning", {_OPEN % "warning": level(3)}, silent=(200,)),
    Case(
        "SluiceCriticalAlertOpen",
        "resolved within the hour",
        {_OPEN % "critical": then((1, 60), (0, 60))},
        silent=(59, 60, 100),
    ),
    Case(
        "SluiceCriticalAlertOpen",
        "for an hour",
        {_OPEN % "critical": level(1)},
        silent=(59,),
        fires=(60, 200),
        labels=({"environment": "production", "kind": "data_drift"},),
    ),
    Case(
        "SluiceDeadLetters",
        "messages that wait, and none given up",
        {
            'sluice_webhook_deliveries{channel="on-call",status="pending"}': level(5),
            'sluice_webhook_deliveries{channel="on-call",status="dead"}': level(0),
        },
        silent=(60,),
    ),
    Case(
        "SluiceDeadLetters",
        "one was given up",
        {'sluice_webhook_deliveries{channel="on-call",status="dead"}': then((0, 5), (1, 20))},
        silent=(9,),
        fires=(10, 20),
        labels=({"channel": "on-call"},),
    ),
    Case(
        "SluiceDeliveryLate",
        "a quarter of an hour",
        {'sluice_webhook_oldest_pending_seconds{channel="on-call"}': level(900)},
        silent=(60,),
    ),
    Case(
        "SluiceDeliveryLate",
        "longer, for five minutes",
        {'sluice_webhook_oldest_pending_seconds{channel="on-call"}': level(901)},
        silent=(4,),
        fires=(5, 60),
        labels=({"channel": "on-call"},),
    ),
)

CASES: Final = (*BUDGET, *LATENCY, *PROCESSES, *GATEWAYS, *MODELS, *JOBS, *MESSAGES)

HEALTHY: Final = {
    **answers(200, ramp((1000, 60))),
    **answers(503, ramp((0, 60))),
    f"up{GATEWAY}": level(1),
    f"up{OTHER_GATEWAY}": level(1),
    **{name: values for name, values in slow(1000, 1, 20).items() if "requests_total" not in name},
    **tries(0, 1000),
    f"sluice_gateway_breaker_open{{{MODEL}}}": level(0),
    f"sluice_gateway_spool_bytes{GATEWAY}": level(0),
    f"sluice_gateway_spool_limit_bytes{GATEWAY}": level(1000),
    'sluice_gateway_records_dropped_total{reason="full"}': level(0),
    f"sluice_gateway_rate_store_up{GATEWAY}": level(1),
    **_gateway_model("1", level(0)),
    **_gateway_model("2", level(1)),
    **_deployed("2", level(1)),
    "sluice_transformer_refused_versions_total": level(0),
    **senders(0, 1000),
    **measured_at("sluice_drift_job_timestamp_seconds", 1),
    **measured_at("sluice_features_ingest_timestamp_seconds", 1),
    **measured_at("sluice_drift_run_timestamp_seconds", 1, labels=f"{{{MODEL}}}"),
    'sluice_retraining_total{model="a-model",outcome="started"}': ramp((1, 60)),
    "sluice_monitoring_records_up": level(1),
    "sluice_monitoring_gateway_read": level(1),
    _OPEN % "warning": level(1),
    'sluice_webhook_deliveries{channel="on-call",status="pending"}': level(1),
    'sluice_webhook_oldest_pending_seconds{channel="on-call"}': level(30),
}
"""An hour in which nothing is wrong; every metric that a rule reads is there."""
