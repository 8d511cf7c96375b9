"""What is different on a cluster: each behaviour once, beside the signs in the code that decide it."""

from typing import Final, NamedTuple


class Difference(NamedTuple):
    """One row of the table; `signs` are those of the code (`cli.differences.signs`) that decide it."""

    behaviour: str
    machine: str
    cluster: str
    signs: tuple[str, ...]
    matters: str = ""
    """What that means for whoever tried it on one machine first; empty where it means nothing."""
    in_readme: bool = False


def of(kind: str, names: str) -> tuple[str, ...]:
    """Returns signs of one kind, from their names with spaces between."""
    return tuple(f"{kind} {name}" for name in names.split())


def _branches(module: str, places: str) -> tuple[str, ...]:
    return tuple(f"branch {module}: {place}" for place in places.split())


DIFFERENCES: Final[tuple[Difference, ...]] = (
    Difference(
        "Who runs the model servers",
        "`sluice up`: processes on loopback, kept by supervisor",
        "KServe InferenceServices in Standard mode",
        (
            *of("setting", "DEPLOYMENT_PLACE DEPLOYMENT_KUBECONFIG DEPLOYMENT_CONTEXT"),
            *of("setting", "DEPLOYMENT_SERVICE_ACCOUNT"),
            *of("setting", "DEPLOYMENT_TRANSFORMER_IMAGE DEPLOYMENT_TRANSFORMER_CONFIG"),
            *of("setting", "DEPLOYMENT_TRANSFORMER_SECRET"),
            *_branches("serving/deployers/choice.py", "cluster"),
            *of("module", "serving/deployers/cluster.py serving/deployers/kserve.py"),
            *of("module", "serving/deployers/local.py"),
            *of("module", "serving/local/"),
            *of("program", "triton transformer"),
        ),
        "`sluice up`, `down`, `status` and `logs` are for one machine; promotion and rollback are for both",
        in_readme=True,
    ),
    Difference(
        "Triton's backend",
        "the wheel's Python backend with ONNX Runtime in `model.py` (Linux on x86-64 only)",
        "Triton's own `onnxruntime` backend",
        (
            *_branches("serving/model_repository.py", "python onnxruntime"),
            *_branches("serving/runtimes/triton_wheel.py", "linux python x86_64"),
            *of("module", "serving/runtimes/triton_wheel.py"),
        ),
        "the same answers bit by bit; the native one takes single rows 20 to 25 % faster",
        in_readme=True,
    ),
    Difference(
        "How a version is switched",
        "Triton loads the new one beside the old, and a route file is replaced",
        "new pods take the place of the old when they are ready",
        (
            *of("setting", "TRANSFORMER_ROUTE TRANSFORMER_BUNDLE TRANSFORMER_BUNDLE_DIGEST"),
            *of("setting", "TRANSFORMER_VERSION"),
            *of("setting", "TRANSFORMER_PREDICTOR_HOST"),
            *of("variable", "TRANSFORMER_ROUTE TRANSFORMER_BUNDLE TRANSFORMER_BUNDLE_DIGEST"),
            *of("variable", "TRANSFORMER_VERSION"),
            *of("variable", "TRANSFORMER_PREDICTOR_HTTP_PORT"),
        ),
        "no request is lost either way; pods take minutes where a route takes a second",
        in_readme=True,
    ),
    Difference(
        "Where bundles lie for the model servers",
        "folders under `SLUICE_HOME`",
        "an object store, or a volume that the cluster mounts",
        of("setting", "DEPLOYMENT_REPOSITORY_URI DEPLOYMENT_STORAGE_URI"),
        "the cluster must be able to read what promotion wrote",
    ),
    Difference(
        "State of the machine",
        "`.sluice/` where you are",
        "a volume for the tasks that read corpus and feature stores; `/tmp` of the pod elsewhere",
        (
            *of("setting", "SLUICE_HOME"),
            *of("variable", "SLUICE_HOME"),
            "image gateway.Dockerfile: SLUICE_HOME=/tmp/sluice",
            "image lambda.Dockerfile: SLUICE_HOME=/tmp/sluice",
            "image training.Dockerfile: SLUICE_HOME=/tmp/sluice",
            "image transformer.Dockerfile: SLUICE_HOME=/tmp/sluice",
            *of("kfp", "mount_pvc set_env_variable"),
        ),
        "what is to outlive a pod must be in a database, the registry or the object store",
    ),
    Difference(
        "Where processes listen",
        "127.0.0.1, on ports that are free",
        "every address of the pod, port 8080; monitoring 8010",
        (
            *of("setting", "GATEWAY_HOST TRANSFORMER_HOST MONITORING_HOST"),
            *of("variable", "GATEWAY_HOST GATEWAY_PORT TRANSFORMER_HOST TRANSFORMER_PORT"),
            *of("variable", "MONITORING_HOST MONITORING_PORT"),
            "image gateway.Dockerfile: GATEWAY_HOST=0.0.0.0",
            "image gateway.Dockerfile: GATEWAY_PORT=8080",
            "image transformer.Dockerfile: TRANSFORMER_HOST=0.0.0.0",
            "image transformer.Dockerfile: TRANSFORMER_PORT=8080",
        ),
    ),
    Difference(
        "The model inside the gateway",
        "off; `GATEWAY_BACKEND=embedded` where Triton cannot run",
        "off; on in the Lambda image",
        (
            *of("setting", "GATEWAY_BACKEND GATEWAY_EMBEDDED_SENDERS"),
            *_branches("gateway/assembly.py", "embedded"),
            *of("module", "gateway/backends/embedded.py gateway/embedded/ gateway/lambda_handler.py"),
            "image lambda.Dockerfile: GATEWAY_BACKEND=embedded",
        ),
        "the same answers, but senders count as unknown unless `GATEWAY_EMBEDDED_SENDERS`",
        in_readme=True,
    ),
    Difference(
        "API keys",
        "`sluice up` makes a development key and shows it",
        "a file of hashes, from a mounted secret; there is no development key",
        (
            *of("program", "gateway"),
            *of("setting", "GATEWAY_DEVELOPMENT GATEWAY_KEYS_FILE SLUICE_API_KEY"),
            *of("variable", "GATEWAY_DEVELOPMENT"),
        ),
        in_readme=True,
    ),
    Difference(
        "The console's keys and sessions",
        "the gateway's key file and a secret that is made, both under `SLUICE_HOME`",
        "the mounted key file, and one secret for all replicas",
        of("setting", "MONITORING_KEYS_FILE MONITORING_SESSION_SECRET"),
        "without a common secret a session of one replica is unknown to the other",
    ),
    Difference(
        "Who ends TLS",
        "nobody: plain HTTP on loopback",
        "the ingress; the gateway then believes it alone and refuses plain requests",
        of("setting", "GATEWAY_HTTPS_ONLY GATEWAY_TRUSTED_PROXIES GATEWAY_PROTECTED_OTHERWISE"),
        "unset, callers behind a proxy all have its address",
    ),
    Difference(
        "Rate limits",
        "counted in memory, for one gateway",
        "counted in Redis, for all replicas together",
        of("setting", "GATEWAY_RATE_LIMIT_REDIS"),
        "without Redis each replica allows the whole rate",
        in_readme=True,
    ),
    Difference(
        "Records",
        "SQLite, `records.db`; `sluice up` migrates it",
        "PostgreSQL; its owner migrates it (`sluice records upgrade`)",
        (
            *of("setting", "RECORDS_URL"),
            *_branches("records/engine.py", "postgresql sqlite"),
            *_branches("records/migrate.py", "sqlite"),
            *_branches("records/settings.py", "postgresql"),
            *_branches("records/repositories/prediction_windows.py", "postgresql"),
            *_branches("records/repositories/upserts.py", "postgresql"),
            *_branches("records/repositories/locks.py", "postgresql"),
            *_branches("records/repositories/traffic.py", "postgresql"),
            *of("module", "records/postgresql.py"),
        ),
        "SQLite has one writer at a time; both are tested with the same tests",
        in_readme=True,
    ),
    Difference(
        "Predictions that wait for the database",
        "a spool under `SLUICE_HOME`",
        "a spool on a volume, or in a pod's own folder, which ends with the pod",
        of("setting", "GATEWAY_SPOOL"),
    ),
    Difference(
        "MLflow",
        "SQLite and files; `sluice up` shows its pages",
        "a tracking server: PostgreSQL and an object store",
        (
            *of("variable", "MLFLOW_TRACKING_URI MLFLOW_SERVER_ENABLE_JOB_EXECUTION"),
            *of("setting", "SERVING_MLFLOW_PAGES"),
            *of("program", "mlflow"),
        ),
        "anyone who may write there can move an alias: give people roles that read",
        in_readme=True,
    ),
    Difference(
        "Feast's stores",
        "offline Parquet, online SQLite",
        "offline Parquet on a volume, online Redis",
        (
            *of("setting", "FEATURE_REPO_ONLINE_STORE FEATURE_REPO_REDIS_CONNECTION"),
            *_branches("feature_repo/store.py", "sqlite"),
            *of("module", "feature_repo/redis_server.py"),
        ),
        "Redis answers in 0.6 ms where SQLite takes 0.2 ms, and several machines can ask it",
        in_readme=True,
    ),
    Difference(
        "Ray",
        "a private Ray on the processors of this machine, with a token of its own",
        "the cluster that `RAY_ADDRESS` names, or `--ray-jobs` for the whole command",
        (
            *of("variable", "RAY_ADDRESS RAY_AUTH_TOKEN"),
            *of("setting", "RAY_JOBS_TOKEN TRAINING_RAY_STORAGE"),
        ),
        "several machines need a folder that all of them reach (`TRAINING_RAY_STORAGE`)",
        in_readme=True,
    ),
    Difference(
        "Who runs the pipeline",
        "kfp's local runner: a subprocess for each step, one run at a time",
        "Kubeflow Pipelines 2: a pod for each step",
        (
            *of("module", "pipelines/local_run.py pipelines/local_process.py"),
            *of("setting", "PIPELINES_ENDPOINT PIPELINES_TOKEN PIPELINES_NAMESPACE"),
            *of("setting", "PIPELINES_RUN_FOLDER"),
            *of("variable", "PIPELINES_RUN_FOLDER"),
            *of("kfp", "set_container_image set_image_pull_policy"),
        ),
        "`sluice pipeline run` here, `sluice pipeline submit` there: the same tasks",
        in_readme=True,
    ),
    Difference(
        "Outputs of earlier runs",
        "taken only when asked: `--from-step`",
        "search, fit, evaluate and export are cached by their inputs",
        (
            *of("kfp", "set_caching_options"),
            *of("setting", "PIPELINES_REUSE_BEFORE"),
            *of("variable", "PIPELINES_REUSE_BEFORE"),
        ),
        "kfp's local runner has no cache",
        in_readme=True,
    ),
    Difference(
        "Steps that fail",
        "end the run",
        "what computes is tried again, once or twice; what decides is not",
        of("kfp", "set_retry"),
        "kfp's local runner has no retries",
        in_readme=True,
    ),
    Difference(
        "What a step may use",
        "the machine, without a time limit",
        "processors, memory and minutes of its profile",
        of("kfp", "set_cpu_request set_cpu_limit set_memory_request set_memory_limit set_timeout"),
        "kfp's local runner knows no limits",
    ),
    Difference(
        "Who writes down how a run ended",
        "the command, which outlives its steps",
        "a last task, which runs whatever happened",
        (*of("kfp", "ExitHandler"), *of("module", "pipelines/local_closing.py")),
        "kfp's local runner cannot tell an exit handler how the run went",
    ),
    Difference(
        "How a step knows its run",
        "a variable of its process",
        "a label of its pod",
        (
            *of("kfp", "use_field_path_as_env"),
            *of("setting", "PIPELINES_RUN_ID"),
            *of("variable", "PIPELINES_RUN_ID"),
        ),
    ),
    Difference(
        "Addresses and passwords",
        "variables of the shell, or files (`…_FILE`)",
        "Kubernetes secrets, as variables or mounted files",
        of("kfp", "use_secret_as_env"),
    ),
    Difference(
        "What runs by the clock",
        "the monitoring process of `sluice up`: drift, checks, messages, ingest",
        "the same process, or CronJobs with `MONITORING_SCHEDULE=false`; runs of the pipeline by KFP",
        (*of("setting", "MONITORING_SCHEDULE"), *of("program", "monitoring")),
        "on one machine nothing retrains by the clock: use cron with `sluice pipeline run`",
        in_readme=True,
    ),
    Difference(
        "What a drift alert may start",
        "`sluice pipeline run`, with `MONITORING_RETRAINING=local`",
        "`sluice pipeline submit`, with `MONITORING_RETRAINING=kubeflow`",
        (
            *of("setting", "MONITORING_RETRAINING"),
            *_branches("monitoring/retraining/loop.py", "kubeflow"),
            *_branches("monitoring/retraining/process.py", "kubeflow"),
            *_branches("monitoring/retraining/starts.py", "kubeflow"),
        ),
        "off by default in both",
        in_readme=True,
    ),
    Difference(
        "Where webhooks may go",
        "public addresses; loopback only if `MONITORING_EGRESS_ALLOWED` names it",
        "public addresses; services of the cluster only if it names their network",
        of("setting", "MONITORING_EGRESS_ALLOWED"),
        "a receiver on the same laptop is refused until it is allowed",
        in_readme=True,
    ),
    Difference(
        "Whose figures monitoring looks at",
        "the gateway that `sluice up` started",
        "the address in `MONITORING_GATEWAY_URL`, the console's own in `MONITORING_PUBLIC_URL`",
        of("setting", "MONITORING_GATEWAY_URL MONITORING_PUBLIC_URL"),
    ),
    Difference(
        "Who may read `/metrics`",
        "loopback",
        "the network of Prometheus' pods, or an admin key",
        of("setting", "GATEWAY_METRICS_NETWORKS"),
    ),
    Difference(
        "Traces",
        "none",
        "a collector, by OTLP",
        of("setting", "GATEWAY_OTLP_ENDPOINT"),
    ),
)
