"""`python -m monitoring`: the drift job by the clock, as a process of its own."""

from kit import logs
from kit.home import HomeSettings, home
from monitoring.schedule import serve
from monitoring.settings import MonitoringSettings

if __name__ == "__main__":
    logs.configure(level=HomeSettings.load().log_level)
    serve(home(), MonitoringSettings.load())
