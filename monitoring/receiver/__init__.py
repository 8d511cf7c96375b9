"""The receiver: signed events and Alertmanager's webhooks, verified before anything is done."""
