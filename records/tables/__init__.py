"""The seven tables, one module each. Importing this package makes `Row.metadata` complete."""

from records.tables.dataset_metrics import DatasetMetric
from records.tables.experiment_runs import ExperimentRun
from records.tables.feedback import Feedback
from records.tables.model_deployments import ModelDeployment
from records.tables.monitoring_alerts import MonitoringAlert
from records.tables.prediction_logs import PredictionLog
from records.tables.registry import Row
from records.tables.webhook_deliveries import WebhookDelivery

__all__ = [
    "DatasetMetric",
    "ExperimentRun",
    "Feedback",
    "ModelDeployment",
    "MonitoringAlert",
    "PredictionLog",
    "Row",
    "WebhookDelivery",
]
