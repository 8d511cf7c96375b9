"""The seven tables, and the triggers that keep the ledger append-only.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "webhook_deliveries",
    "monitoring_alerts",
    "dataset_metrics",
    "experiment_runs",
    "model_deployments",
    "feedback",
    "prediction_logs",
)
"""In the order in which they can be dropped; their indexes and triggers go with them."""


def upgrade() -> None:
    op.create_table(
        "dataset_metrics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_name", sa.String(128), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("metric", sa.String(128), nullable=False),
        sa.Column("family", sa.String(128), nullable=False),
        sa.Column("feature", sa.String(128), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("details", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.CheckConstraint(
            "source IN ('training', 'staging', 'production')", name=op.f("ck_dataset_metrics_source")
        ),
        sa.CheckConstraint("length(trim(metric)) > 0", name=op.f("ck_dataset_metrics_metric_not_blank")),
        sa.CheckConstraint("row_count >= 0", name=op.f("ck_dataset_metrics_row_count")),
        sa.CheckConstraint("window_start <= window_end", name=op.f("ck_dataset_metrics_window")),
        sa.PrimaryKeyConstraint("id", name="pk_dataset_metrics"),
        sa.UniqueConstraint(
            "model_name",
            "source",
            "dataset",
            "metric",
            "family",
            "feature",
            "window_start",
            "window_end",
            name="uq_dataset_metrics_identity",
        ),
    )
    op.create_index(
        "ix_dataset_metrics_series",
        "dataset_metrics",
        ["model_name", "source", "metric", "family", "feature", "window_end"],
    )

    op.create_table(
        "experiment_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workload", sa.String(128), nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("trigger", sa.String(64), nullable=False),
        sa.Column("trigger_reason", sa.String(2000), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mlflow_run_id", sa.String(64), nullable=True),
        sa.Column("model_version", sa.String(64), nullable=True),
        sa.Column("data_fingerprint", sa.String(64), nullable=True),
        sa.Column("schema_digest", sa.String(64), nullable=True),
        sa.Column("git_commit", sa.String(64), nullable=True),
        sa.Column("parameters", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("figures", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("reasons", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (status = 'running')", name=op.f("ck_experiment_runs_finished")
        ),
        sa.CheckConstraint(
            "status IN ('running', 'accepted', 'refused', 'failed')", name=op.f("ck_experiment_runs_status")
        ),
        sa.CheckConstraint(
            "trigger IN ('manual', 'schedule', 'drift')", name=op.f("ck_experiment_runs_trigger")
        ),
        sa.CheckConstraint("length(trim(workload)) > 0", name=op.f("ck_experiment_runs_workload_not_blank")),
        sa.PrimaryKeyConstraint("id", name="pk_experiment_runs"),
    )
    op.create_index(
        "ix_experiment_runs_accepted",
        "experiment_runs",
        ["workload", "finished_at"],
        sqlite_where=sa.text("status = 'accepted'"),
        postgresql_where=sa.text("status = 'accepted'"),
    )
    op.create_index(
        "ix_experiment_runs_workload_started_at_id", "experiment_runs", ["workload", "started_at", "id"]
    )

    op.create_table(
        "feedback",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("submitted_by", sa.String(128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(trim(label)) > 0", name=op.f("ck_feedback_label_not_blank")),
        sa.CheckConstraint("length(trim(request_id)) > 0", name=op.f("ck_feedback_request_id_not_blank")),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sa.UniqueConstraint("request_id", name="uq_feedback_request_id"),
    )
    op.create_index("ix_feedback_recorded_at_id", "feedback", ["recorded_at", "id"])

    op.create_table(
        "model_deployments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_name", sa.String(128), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("from_version", sa.String(64), nullable=True),
        sa.Column("to_version", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(2000), nullable=False),
        sa.Column("gate", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.CheckConstraint("action IN ('promote', 'rollback')", name=op.f("ck_model_deployments_action")),
        sa.CheckConstraint(
            "environment IN ('staging', 'production')", name=op.f("ck_model_deployments_environment")
        ),
        sa.CheckConstraint("from_version <> to_version", name=op.f("ck_model_deployments_moves")),
        sa.CheckConstraint("length(trim(actor)) > 0", name=op.f("ck_model_deployments_actor_not_blank")),
        sa.CheckConstraint("length(trim(reason)) > 0", name=op.f("ck_model_deployments_reason_not_blank")),
        sa.CheckConstraint(
            "length(trim(to_version)) > 0", name=op.f("ck_model_deployments_to_version_not_blank")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_model_deployments"),
    )
    op.create_index("ix_model_deployments_created_at_id", "model_deployments", ["created_at", "id"])
    op.create_index(
        "ix_model_deployments_model_name_environment_created_at_id",
        "model_deployments",
        ["model_name", "environment", "created_at", "id"],
    )

    op.create_table(
        "monitoring_alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(512), nullable=False),
        sa.Column("model_name", sa.String(128), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("family", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=True),
        sa.Column("severity", sa.String(64), nullable=False),
        sa.Column("summary", sa.String(2000), nullable=False),
        sa.Column("details", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.Column("quiet_runs", sa.Integer(), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("muted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("history", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.CheckConstraint(
            "environment IN ('staging', 'production')", name=op.f("ck_monitoring_alerts_environment")
        ),
        sa.CheckConstraint(
            "kind IN ('data_drift', 'concept_drift', 'performance_degradation', 'stale_features', 'prediction_loss', 'model_error')",
            name=op.f("ck_monitoring_alerts_kind"),
        ),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'critical')", name=op.f("ck_monitoring_alerts_severity")
        ),
        sa.CheckConstraint("length(trim(key)) > 0", name=op.f("ck_monitoring_alerts_key_not_blank")),
        sa.CheckConstraint("occurrences >= 1", name=op.f("ck_monitoring_alerts_occurrences")),
        sa.CheckConstraint("quiet_runs >= 0", name=op.f("ck_monitoring_alerts_quiet_runs")),
        sa.PrimaryKeyConstraint("id", name="pk_monitoring_alerts"),
    )
    op.create_index("ix_monitoring_alerts_key_opened_at", "monitoring_alerts", ["key", "opened_at"])
    op.create_index(
        "ix_monitoring_alerts_model_name_environment_opened_at",
        "monitoring_alerts",
        ["model_name", "environment", "opened_at"],
    )
    op.create_index(
        "uq_monitoring_alerts_open_key",
        "monitoring_alerts",
        ["key"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )

    op.create_table(
        "prediction_logs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("model_name", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("schema_digest", sa.String(64), nullable=False),
        sa.Column("message_sha256", sa.String(64), nullable=True),
        sa.Column("sender", sa.String(320), nullable=True),
        sa.Column("sender_domain", sa.String(320), nullable=True),
        sa.Column("subject_sha256", sa.String(64), nullable=True),
        sa.Column("numeric", sa.LargeBinary(), nullable=False),
        sa.Column("text_statistics", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("latency_seconds", sa.Double(), nullable=False),
        sa.Column("defaulted_features", sa.Integer(), nullable=False),
        sa.Column("shadow_of", sa.String(128), nullable=True),
        sa.CheckConstraint(
            "environment IN ('staging', 'production')", name=op.f("ck_prediction_logs_environment")
        ),
        sa.CheckConstraint("defaulted_features >= 0", name=op.f("ck_prediction_logs_defaulted_features")),
        sa.CheckConstraint("latency_seconds >= 0", name=op.f("ck_prediction_logs_latency_seconds")),
        sa.CheckConstraint("length(trim(label)) > 0", name=op.f("ck_prediction_logs_label_not_blank")),
        sa.CheckConstraint(
            "length(trim(request_id)) > 0", name=op.f("ck_prediction_logs_request_id_not_blank")
        ),
        sa.CheckConstraint(
            "probability >= 0 AND probability <= 1", name=op.f("ck_prediction_logs_probability")
        ),
        sa.CheckConstraint("shadow_of <> request_id", name=op.f("ck_prediction_logs_shadow_of")),
        sa.CheckConstraint("threshold >= 0 AND threshold <= 1", name=op.f("ck_prediction_logs_threshold")),
        sa.PrimaryKeyConstraint("id", name="pk_prediction_logs"),
        sa.UniqueConstraint("request_id", name="uq_prediction_logs_request_id"),
    )
    op.create_index("ix_prediction_logs_recorded_at_id", "prediction_logs", ["recorded_at", "id"])
    op.create_index(
        "ix_prediction_logs_shadow_of",
        "prediction_logs",
        ["shadow_of"],
        sqlite_where=sa.text("shadow_of IS NOT NULL"),
        postgresql_where=sa.text("shadow_of IS NOT NULL"),
    )
    op.create_index(
        "ix_prediction_logs_window",
        "prediction_logs",
        ["model_name", "environment", "model_version", "created_at"],
    )

    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deduplication_key", sa.String(512), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.String(128), nullable=False),
        sa.Column("change", sa.String(128), nullable=False),
        sa.Column("payload", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("status", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(2000), nullable=True),
        sa.CheckConstraint(
            "(delivered_at IS NULL) = (status <> 'delivered')", name=op.f("ck_webhook_deliveries_delivered")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'dead')", name=op.f("ck_webhook_deliveries_status")
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_webhook_deliveries_attempts")),
        sa.CheckConstraint("length(trim(channel)) > 0", name=op.f("ck_webhook_deliveries_channel_not_blank")),
        sa.CheckConstraint(
            "length(trim(deduplication_key)) > 0",
            name=op.f("ck_webhook_deliveries_deduplication_key_not_blank"),
        ),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["monitoring_alerts.id"], name="fk_webhook_deliveries_alert_id_monitoring_alerts"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.UniqueConstraint("deduplication_key", name="uq_webhook_deliveries_deduplication_key"),
    )
    op.create_index("ix_webhook_deliveries_alert_id", "webhook_deliveries", ["alert_id"])
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at", "id"],
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_webhook_deliveries_status_created_at", "webhook_deliveries", ["status", "created_at"])

    keep_ledger_append_only()


def keep_ledger_append_only() -> None:
    """Makes the database itself refuse to change or delete rows of `model_deployments`."""
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER model_deployments_refuse_{action.lower()} BEFORE {action} ON model_deployments "
                "BEGIN SELECT RAISE(ABORT, 'model_deployments_append_only'); END"
            )
        # INSERT OR REPLACE deletes without firing DELETE triggers (https://www.sqlite.org/lang_conflict.html).
        op.execute(
            "CREATE TRIGGER model_deployments_refuse_replace BEFORE INSERT ON model_deployments "
            "WHEN EXISTS (SELECT 1 FROM model_deployments WHERE id = NEW.id) "
            "BEGIN SELECT RAISE(ABORT, 'model_deployments_append_only'); END"
        )
        return
    op.execute(
        """
        CREATE FUNCTION model_deployments_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'model_deployments is append-only'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'model_deployments_append_only';
        END $$
        """
    )
    # One for each statement and not for each row, for TRUNCATE and for an UPDATE that meets no row.
    op.execute(
        "CREATE TRIGGER model_deployments_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON model_deployments "
        "FOR EACH STATEMENT EXECUTE FUNCTION model_deployments_append_only()"
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION model_deployments_append_only()")
