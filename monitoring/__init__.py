"""From predictions to action: drift, live performance, alerts, webhooks, retraining."""
