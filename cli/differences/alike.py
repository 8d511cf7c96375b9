"""What chooses in the code and is no difference between one machine and a cluster, with the reasons."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cli.differences.table import of

ALIKE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "A choice of how strict, how long or what for; the same one is good in both places.": of(
            "setting",
            "RECORDS_POOL_PRE_PING TRAINING_THRESHOLD_OBJECTIVE TRAINING_EVALUATION_SEEDS "
            "TRAINING_GATE_METRIC TRAINING_SEARCH_STOPPING GATEWAY_SPOOL_FSYNC GATEWAY_RECORD "
            "GATEWAY_DOCS MONITORING_REPORT_WHEN MONITORING_RETRAINING_SEVERITY "
            "MONITORING_RETRAINING_ARGUMENTS MONITORING_AUTO_PROMOTE",
        ),
        "Names what is yours: workloads, models, environments, receivers, pages.": of(
            "setting",
            "TRAINING_WORKLOADS GATEWAY_DIRECT_MODELS GATEWAY_ENVIRONMENTS "
            "GATEWAY_DEFAULT_ENVIRONMENT GATEWAY_SHADOW_ENVIRONMENT GATEWAY_CORS_ORIGINS "
            "MONITORING_CHANNELS MONITORING_RUNBOOKS MONITORING_HOOK_SECRETS MONITORING_HOOK_TOKEN",
        ),
        "On in both; whoever turns it off must say that something else protects.": of(
            "setting",
            "GATEWAY_AUTHENTICATION",
        ),
        "Whether `sluice up` starts the gateway and monitoring too: a choice within one machine.": of(
            "setting",
            "SERVING_GATEWAY SERVING_MONITORING",
        ),
        "Manners that a library is told wherever it runs: no reports to its makers, no noise.": of(
            "variable",
            "GIT_PYTHON_REFRESH MLFLOW_DISABLE_TELEMETRY RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO "
            "RAY_AIR_NEW_OUTPUT RAY_CHDIR_TO_TRIAL_DIR RAY_DEDUP_LOGS_SKIP_REGEX "
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER RAY_TRAIN_ENABLE_PREEMPTION_WATCHER "
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S "
            "RAY_USAGE_STATS_ENABLED",
        ),
        "Settings of the demo: mail of 2002, its own listener, all on two cores (docs/demo.md).": of(
            "variable",
            "FEATURE_REPO_HISTORY_MAX_AGE_DAYS MONITORING_CHANNELS MONITORING_DELIVERY_EVERY "
            "MONITORING_EGRESS_ALLOWED MONITORING_INGEST_EVERY TRAINING_EVALUATION_SEEDS "
            "TRAINING_SEARCH_FOLDS TRANSFORMER_SENDER_BUDGET_SECONDS",
        ),
        "How a program of this machine finds its libraries.": of(
            "variable",
            "PATH LD_LIBRARY_PATH",
        ),
        "The frame of every kfp pipeline, which the local runner has too.": of(
            "kfp",
            "Artifact Input Output component outputs pipeline set_display_name",
        ),
    }
)
"""Signs that are no difference, by the reason why not."""
