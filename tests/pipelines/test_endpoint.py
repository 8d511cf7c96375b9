"""Kubeflow Pipelines over HTTP: what is sent, what is waited for, and how each failure is told."""

import socket
from typing import Any

import pytest
from pydantic import SecretStr

from pipelines.endpoint import (
    Endpoint,
    EndpointFailed,
    EndpointRefused,
    EndpointUnauthorised,
    EndpointUnreachable,
    EndpointUnset,
    RemoteRunFailed,
)
from pipelines.settings import PipelinesSettings
from tests.pipelines.conftest import FakeKubeflow

PIPELINE: dict[str, Any] = {"pipeline_spec": {"root": {}}, "platform_spec": {"platforms": {}}}


def settings(kubeflow: FakeKubeflow, **more: object) -> PipelinesSettings:
    """Returns settings that name the server."""
    return PipelinesSettings.load(
        endpoint=kubeflow.address, timeout_seconds=10, poll_seconds=0.01, experiment="nightly", **more
    )


def test_a_run_is_submitted_with_pipeline_parameters_and_experiment(kubeflow: FakeKubeflow) -> None:
    """The experiment is made, because there is none."""
    with Endpoint(settings(kubeflow)) as remote:
        made = remote.submit("a run", PIPELINE, {"workload": "any", "trials": 3})
    assert made == {"id": "r0", "state": "PENDING", "link": f"{kubeflow.address}/#/runs/details/r0"}
    assert kubeflow.experiments == [{"display_name": "nightly", "experiment_id": "e0"}]
    sent = kubeflow.runs[0]
    assert sent["experiment_id"] == "e0"
    assert sent["pipeline_spec"] == PIPELINE
    assert sent["runtime_config"] == {"parameters": {"workload": "any", "trials": 3}}


def test_an_experiment_that_is_there_is_used_even_on_a_later_page(kubeflow: FakeKubeflow) -> None:
    """It is looked for by its name, page by page."""
    kubeflow.experiments = [
        {"display_name": name, "experiment_id": name[0]} for name in ("other", "more", "nightly")
    ]
    with Endpoint(settings(kubeflow)) as remote:
        remote.submit("a run", PIPELINE, {})
    assert kubeflow.runs[0]["experiment_id"] == "n"
    assert len(kubeflow.experiments) == 3


def test_a_multi_user_namespace_goes_with_the_experiment(kubeflow: FakeKubeflow) -> None:
    """Kubeflow keeps experiments by namespace there."""
    with Endpoint(settings(kubeflow, namespace="team")) as remote:
        remote.submit("a run", PIPELINE, {})
    assert kubeflow.experiments[0]["namespace"] == "team"


def test_a_schedule_runs_one_at_a_time_and_makes_up_for_nothing(kubeflow: FakeKubeflow) -> None:
    """Two trainings at once would train on the same data."""
    with Endpoint(settings(kubeflow)) as remote:
        made = remote.schedule("nightly", "0 0 3 * * *", PIPELINE, {"workload": "any"})
    assert made["id"] == "s0"
    sent = kubeflow.schedules[0]
    assert sent["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (sent["max_concurrency"], sent["no_catchup"], sent["mode"]) == ("1", True, "ENABLE")


def test_waiting_ends_with_the_run_and_tells_each_new_state(kubeflow: FakeKubeflow) -> None:
    """Each state once, however often it was seen."""
    kubeflow.states = ["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]
    states: list[str] = []
    with Endpoint(settings(kubeflow)) as remote:
        made = remote.submit("a run", PIPELINE, {})
        ended = remote.wait(made["id"], on_state=states.append)
    assert states == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert ended["state"] == "SUCCEEDED"


def test_a_run_that_fails_is_an_error_with_the_task_and_the_place_of_its_logs(kubeflow: FakeKubeflow) -> None:
    """Drivers are no tasks of ours."""
    kubeflow.states = ["FAILED"]
    with Endpoint(settings(kubeflow)) as remote:
        made = remote.submit("a run", PIPELINE, {})
        kubeflow.runs[0]["run_details"] = {
            "task_details": [
                {"display_name": "gate", "state": "FAILED"},
                {"display_name": "gate-driver", "state": "FAILED"},
                {"display_name": "fit", "state": "SUCCEEDED"},
            ]
        }
        with pytest.raises(RemoteRunFailed, match=r"ended as FAILED in gate\.") as failure:
            remote.wait(made["id"], on_state=lambda _state: None)
    assert failure.value.next_step is not None
    assert made["link"] in failure.value.next_step


def test_waiting_may_end_before_the_run(kubeflow: FakeKubeflow) -> None:
    """It goes on by itself, and the error says where."""
    kubeflow.states = ["RUNNING"]
    with Endpoint(settings(kubeflow)) as remote:
        made = remote.submit("a run", PIPELINE, {})
        with pytest.raises(RemoteRunFailed, match="is RUNNING after 0 seconds"):
            remote.wait(made["id"], on_state=lambda _state: None, timeout_seconds=0)


def test_the_right_token_is_accepted_and_a_wrong_one_is_told(kubeflow: FakeKubeflow) -> None:
    """The message says which setting to change, and holds no token."""
    kubeflow.token = "right"
    with Endpoint(settings(kubeflow, token=SecretStr("right"))) as remote:
        remote.submit("a run", PIPELINE, {})
    for wrong in (SecretStr("wrong-one"), None):
        with (
            Endpoint(settings(kubeflow, token=wrong)) as remote,
            pytest.raises(EndpointUnauthorised, match="HTTP 401") as failure,
        ):
            remote.submit("a run", PIPELINE, {})
        assert "PIPELINES_TOKEN" in str(failure.value.next_step)
        assert "wrong-one" not in str(failure.value)


def test_a_login_page_means_that_the_token_is_not_known(kubeflow: FakeKubeflow) -> None:
    """Proxies in front of Kubeflow redirect instead of refusing."""
    kubeflow.status = 302
    with Endpoint(settings(kubeflow)) as remote, pytest.raises(EndpointUnauthorised, match="HTTP 302"):
        remote.submit("a run", PIPELINE, {})


def test_a_refusal_is_told_with_the_reason_of_the_server(kubeflow: FakeKubeflow) -> None:
    """It says what is wrong with what was sent."""
    kubeflow.status, kubeflow.body = 400, b'{"error_message": "Invalid cron: seven fields"}'
    with Endpoint(settings(kubeflow)) as remote, pytest.raises(EndpointRefused, match="seven fields"):
        remote.schedule("nightly", "0 0 3 * * * *", PIPELINE, {})


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"<html>"), (200, b"[1]")])
def test_a_failing_or_foreign_server_is_told(kubeflow: FakeKubeflow, status: int, body: bytes) -> None:
    """An error of its own, a web page, JSON of another kind."""
    kubeflow.status, kubeflow.body = status, body
    with Endpoint(settings(kubeflow)) as remote, pytest.raises(EndpointFailed, match=f"HTTP {status}"):
        remote.submit("a run", PIPELINE, {})


def test_nobody_at_the_endpoint_is_told() -> None:
    """With the address, and what to check."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    unreachable = PipelinesSettings.load(endpoint=f"http://127.0.0.1:{port}", timeout_seconds=2)
    with Endpoint(unreachable) as remote, pytest.raises(EndpointUnreachable, match=f":{port}") as failure:
        remote.submit("a run", PIPELINE, {})
    assert "PIPELINES_ENDPOINT" in str(failure.value.next_step)


@pytest.mark.parametrize("address", ["", "kubeflow.example.org"])
def test_no_endpoint_is_wrong_usage(address: str) -> None:
    """Before anything is compiled or sent."""
    with pytest.raises(EndpointUnset, match="address") as failure:
        Endpoint(PipelinesSettings.load(endpoint=address))
    assert failure.value.exit_code == 2
