"""Kubeflow Pipelines over its v2beta1 API: submit, schedule, wait.

Plain httpx and not kfp's client: that one looks for a cluster's configuration by itself, retries for minutes
before it says that nobody answers, prints links, and cannot be told how long to wait. Five calls are enough.

Errors::

    OperationalError
    ├── EndpointUnreachable    503  nobody answers, or not in time
    ├── EndpointUnauthorised   503  it wants another token
    ├── EndpointFailed         503  it answered with an error of its own
    └── RemoteRunFailed        503  the run ended, and not well
    CallerError
    └── EndpointRefused        422  it does not accept what it was given; its reason is in the message
    UsageError
    └── EndpointUnset          400  no address was given
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import httpx

from kit.errors import CallerError, OperationalError, UsageError
from pipelines.settings import PipelinesSettings

_API: Final = "apis/v2beta1"
_WELL: Final = "SUCCEEDED"
_ENDED: Final = frozenset({_WELL, "SKIPPED", "FAILED", "CANCELED"})
_UNAUTHORISED: Final = frozenset({401, 403})
_REFUSED: Final = frozenset({400, 404, 409, 422})
_LONGEST_REASON: Final = 300


class EndpointUnset(UsageError):
    """No address of Kubeflow Pipelines is known."""

    code = "endpoint_unset"
    title = "No endpoint"


class EndpointUnreachable(OperationalError):
    """Nobody answers at the endpoint."""

    code = "endpoint_unreachable"
    title = "Kubeflow Pipelines does not answer"


class EndpointUnauthorised(OperationalError):
    """The endpoint wants another token, or the token's owner may not do this."""

    code = "endpoint_unauthorised"
    title = "Kubeflow Pipelines refuses this token"


class EndpointFailed(OperationalError):
    """The endpoint failed, or what answers there is something else."""

    code = "endpoint_failed"
    title = "Kubeflow Pipelines failed"


class EndpointRefused(CallerError):
    """The endpoint does not accept what it was given."""

    status = 422
    code = "endpoint_refused"
    title = "Kubeflow Pipelines refuses this"


class RemoteRunFailed(OperationalError):
    """A run on the endpoint did not end well."""

    code = "remote_run_failed"
    title = "The run on the cluster failed"


class Endpoint:
    """An open connection to Kubeflow Pipelines; use it as a context manager."""

    def __init__(self, settings: PipelinesSettings) -> None:
        if not settings.endpoint.startswith(("http://", "https://")):
            raise EndpointUnset(
                f"{settings.endpoint} is no address." if settings.endpoint else "No address is set.",
                next_step="Set PIPELINES_ENDPOINT, or give --endpoint, with http:// or https:// in front.",
            )
        self._settings = settings
        self._address = settings.endpoint.rstrip("/")
        token = settings.token.get_secret_value() if settings.token else ""
        self._client = httpx.Client(
            base_url=f"{self._address}/{_API}/",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=settings.timeout_seconds,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connection."""
        self._client.close()

    def submit(self, name: str, pipeline: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Returns id, state and link of a new run of `pipeline` in the experiment of the settings."""
        body = self._body(name, pipeline, parameters)
        return self._run(self._post("runs", body))

    def schedule(
        self, name: str, cron: str, pipeline: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns id and link of a schedule that runs `pipeline` at the times of `cron` (UTC, six fields)."""
        body = self._body(name, pipeline, parameters) | {
            "mode": "ENABLE",
            # Two at once would train on the same data; what was missed meanwhile is not made up for.
            "max_concurrency": "1",
            "no_catchup": True,
            "trigger": {"cron_schedule": {"cron": cron}},
        }
        made = self._post("recurringruns", body)
        identity = str(made.get("recurring_run_id", ""))
        return {
            "id": identity,
            "cron": cron,
            "link": f"{self._address}/#/recurringrun/details/{identity}",
        }

    def wait(
        self,
        run_id: str,
        *,
        on_state: Callable[[str], None],
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Returns the run once it has ended well; `on_state` hears of each new state.

        Raises:
            RemoteRunFailed: it failed or was cancelled, or did not end within `timeout_seconds`.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        last = ""
        while True:
            answer = self._request("GET", f"runs/{run_id}")
            found = self._run(answer)
            if found["state"] != last:
                last = found["state"]
                on_state(last)
            if last in _ENDED:
                break
            if deadline is not None and time.monotonic() > deadline:
                raise RemoteRunFailed(
                    f"Run {run_id} is {last} after {timeout_seconds:g} seconds.",
                    next_step=f"It goes on by itself: {found['link']}",
                )
            time.sleep(self._settings.poll_seconds)
        if last != _WELL:
            raise RemoteRunFailed(
                f"Run {run_id} ended as {last}{_failed_tasks(answer)}.",
                next_step=f"Read the logs of its tasks: {found['link']}",
            )
        return found

    def _body(self, name: str, pipeline: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "display_name": name,
            "experiment_id": self._experiment(),
            "pipeline_spec": dict(pipeline),
            "runtime_config": {"parameters": dict(parameters)},
        }

    def _experiment(self) -> str:
        name, namespace = self._settings.experiment, self._settings.namespace
        token = ""
        while True:
            query = {"page_size": "100", "page_token": token, "namespace": namespace}
            page = self._request(
                "GET", "experiments", params={key: each for key, each in query.items() if each}
            )
            for experiment in page.get("experiments", ()):
                if experiment.get("display_name") == name:
                    return str(experiment["experiment_id"])
            token = page.get("next_page_token", "")
            if not token:
                break
        body = {"display_name": name} | ({"namespace": namespace} if namespace else {})
        return str(self._post("experiments", body)["experiment_id"])

    def _run(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        identity = str(answer.get("run_id", ""))
        return {
            "id": identity,
            "state": str(answer.get("state", "PENDING")),
            "link": f"{self._address}/#/runs/details/{identity}",
        }

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._request("POST", path, json=body)

    def _request(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Returns the answer's document; every other outcome is one of our errors."""
        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.HTTPError as exc:
            raise EndpointUnreachable(
                f"Nobody answers at {self._address} ({type(exc).__name__}).",
                next_step="Check PIPELINES_ENDPOINT, the network, and that Kubeflow Pipelines runs.",
            ) from exc
        except (httpx.InvalidURL, ValueError) as exc:
            raise EndpointUnset(
                f"{self._address} is no address.", next_step="Correct PIPELINES_ENDPOINT or --endpoint."
            ) from exc
        # A login page instead of an answer: the proxy in front does not know the token.
        if answer.status_code in _UNAUTHORISED or answer.is_redirect:
            raise EndpointUnauthorised(
                f"{self._address} does not accept the token (HTTP {answer.status_code}).",
                next_step="Set PIPELINES_TOKEN to a fresh token whose owner may run pipelines there.",
            )
        if answer.status_code in _REFUSED:
            raise EndpointRefused(
                f"{self._address} does not accept this: {_reason(answer)}",
                next_step="Correct what it names; sluice pipeline compile shows what is sent.",
            )
        try:
            document = answer.json() if answer.is_success else None
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise EndpointFailed(
                f"{self._address} failed (HTTP {answer.status_code}), or is no Kubeflow Pipelines.",
                next_step="Try again, look at the ml-pipeline service, or correct PIPELINES_ENDPOINT.",
            )
        return document


def _reason(answer: httpx.Response) -> str:
    try:
        document = answer.json()
        told = document.get("error_message") or document.get("message") or document.get("error")
    except (ValueError, AttributeError):
        told = None
    return str(told or f"HTTP {answer.status_code}")[:_LONGEST_REASON]


def _failed_tasks(answer: Mapping[str, Any]) -> str:
    tasks = answer.get("run_details", {}).get("task_details", ())
    names = [
        str(task.get("display_name"))
        for task in tasks
        # Drivers and the run itself are listed as tasks as well.
        if task.get("state") == "FAILED" and not str(task.get("display_name")).endswith("-driver")
    ]
    told = (answer.get("error") or {}).get("message", "")
    return (f" in {', '.join(names)}" if names else "") + (f": {str(told)[:_LONGEST_REASON]}" if told else "")
