"""The wheel's Triton serves our bundles as they are, side by side, and one caller's fault stays his own."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from kit.bundle import Bundle
from serving import golden
from serving.golden import GoldenMismatch
from serving.local.leftovers import free_shared_memory
from serving.model_repository import Layout, add_version, remove_version, write_config
from serving.runtimes.triton import Ports, Triton, TritonFailed, command, free_ports, running, stop
from serving.triton_control import TritonControl, TritonRefused, TritonUnreachable

pytestmark = pytest.mark.xdist_group("triton")

FLOWERS = "iris"
MAILS = "spam-detector"
LIMIT_SECONDS = 120
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the system keeps it
CALLERS = 6


class Serving(NamedTuple):
    """A Triton that runs, its repository, and a client."""

    triton: Triton
    repository: Path
    control: TritonControl


def serve(repository: Path, bundle: Bundle, *versions: str) -> None:
    """Puts the versions into the repository, all of the same bundle, and writes the configuration of them."""
    for version in versions:
        add_version(repository, bundle, version, Layout.PYTHON)
    write_config(repository, bundle.contract, versions, Layout.PYTHON)


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, flowers_1: Bundle, mails_1: Bundle
) -> Iterator[Serving]:
    """Version 1 of both small models, ready."""
    repository = tmp_path_factory.mktemp("triton") / "repository"
    for bundle in (flowers_1, mails_1):
        serve(repository, bundle, "1")
    with (
        running(repository, {FLOWERS: "1", MAILS: "1"}) as triton,
        TritonControl(triton.http, grpc=triton.grpc) as control,
    ):
        yield Serving(triton, repository, control)


def wait_for(condition: Callable[[], bool]) -> None:
    """Returns when `condition` holds."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def infer_by(control: TritonControl, model: str, version: str = "1") -> golden.Infer:
    """Returns the inference of this version as golden rows ask it."""
    return lambda inputs: control.infer(model, version, inputs)


def asked(kind: Any, address: str, model: str, inputs: golden.Arrays) -> dict[str, NDArray[Any]]:
    """Returns the answers that tritonclient gets, by HTTP or by gRPC."""
    sent = []
    for name, values in inputs.items():
        text = values.dtype == np.object_
        tensor = kind.InferInput(name, list(values.shape), "BYTES" if text else "FP32")
        tensor.set_data_from_numpy(values)
        sent.append(tensor)
    with kind.InferenceServerClient(address) as client:
        answer = client.infer(model, sent, model_version="1")
        return {name: answer.as_numpy(name) for name in ("label", "probabilities")}


@pytest.mark.parametrize("model", [FLOWERS, MAILS])
def test_served_model_is_its_contract_and_its_bundle(
    model: str, serving: Serving, request: pytest.FixtureRequest
) -> None:
    """Numbers alone, or text and numbers: metadata and golden rows through the wire."""
    bundle = request.getfixturevalue("flowers_1" if model == FLOWERS else "mails_1")
    golden.conformance(bundle.contract, serving.control.metadata(model, "1"))
    golden.check(bundle, infer_by(serving.control, model))


@pytest.mark.parametrize("model", [FLOWERS, MAILS])
def test_triton_s_own_clients_get_the_bundle_s_answers(
    model: str, serving: Serving, request: pytest.FixtureRequest
) -> None:
    """Unmodified tritonclient, HTTP with binary tensors and gRPC."""
    bundle = request.getfixturevalue("flowers_1" if model == FLOWERS else "mails_1")
    golden.check(bundle, lambda inputs: asked(triton_http, serving.triton.http, model, inputs))
    golden.check(bundle, lambda inputs: asked(triton_grpc, serving.triton.grpc, model, inputs))


def test_another_model_of_the_same_contract_is_told_by_its_answers(
    serving: Serving, flowers_2: Bundle, mails_2: Bundle
) -> None:
    """Its tensors are the same, so that only golden rows can tell."""
    for model, bundle in ((FLOWERS, flowers_2), (MAILS, mails_2)):
        golden.conformance(bundle.contract, serving.control.metadata(model, "1"))
        with pytest.raises(GoldenMismatch) as refused:
            golden.check(bundle, infer_by(serving.control, model))
        assert refused.value.differences
        assert "Golden row" in refused.value.reasons[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [(b"caf\xe9 \xff\xfe", "not valid UTF-8"), (b"one\0two", "holds a NUL"), (b"a " * (1 << 20), "bytes")],
    ids=["encoding", "nul", "megabytes"],
)
def test_broken_text_of_one_caller_fails_nobody_else_in_the_batch(
    text: bytes, told: str, serving: Serving, mails_1: Bundle
) -> None:
    """Its own caller hears what is wrong, without the text; every neighbour gets the bundle's answer."""
    rows = {name: values[2:4] for name, values in golden.rows(mails_1.contract).items()}
    wanted = golden.expected(mails_1, rows)["probabilities"]
    broken = {"text": np.array([["fine"], [text]], dtype=object), "numeric": rows["numeric"]}
    stopped = threading.Event()

    def send_broken() -> list[str]:
        refusals = []
        while not stopped.is_set():
            with pytest.raises(InferenceServerException) as refused:
                asked(triton_grpc, serving.triton.grpc, MAILS, broken)
            refusals.append(refused.value.message())
        return refusals

    def send_good() -> float:
        answers = [asked(triton_grpc, serving.triton.grpc, MAILS, rows)["probabilities"] for _ in range(15)]
        return float(max(np.abs(answer - wanted).max() for answer in answers))

    with ThreadPoolExecutor(CALLERS + 1) as pool:
        refusals = pool.submit(send_broken)
        differences = [future.result() for future in [pool.submit(send_good) for _ in range(CALLERS)]]
        stopped.set()
        messages = refusals.result()
    assert max(differences) <= golden.TOLERANCE
    assert messages
    assert all(told in message and "caf" not in message and "one" not in message for message in messages)
    log = serving.triton.log.read_bytes()
    assert b"caf\xe9" not in log
    assert b"one\0two" not in log


def test_wrong_request_is_refused_with_triton_s_own_sentence(serving: Serving) -> None:
    """A shape, a name, a version that is not there."""
    with pytest.raises(TritonRefused, match="refused") as refused:
        serving.control.infer(FLOWERS, "1", {"features": np.zeros((1, 5), dtype=np.float32)})
    assert "shape" in refused.value.reasons[0]
    with pytest.raises(TritonRefused):
        serving.control.infer(FLOWERS, "1", {"petals": np.zeros((1, 4), dtype=np.float32)})
    with pytest.raises(TritonRefused):
        serving.control.metadata(FLOWERS, "7")
    assert not serving.control.model_ready(FLOWERS, "7")


def test_version_comes_and_goes_while_requests_run_and_none_fails(
    serving: Serving, flowers_1: Bundle, flowers_2: Bundle
) -> None:
    """New beside old, requests move over, old taken away; and back again."""
    control, repository = serving.control, serving.repository
    rows = golden.rows(flowers_1.contract)
    wanted = {"1": golden.expected(flowers_1, rows), "2": golden.expected(flowers_2, rows)}
    current = ["1"]
    stopped, lock = threading.Event(), threading.Lock()
    under_way = {"1": 0, "2": 0}
    answered = [{"1": 0, "2": 0} for _ in range(2)]

    def send(mine: dict[str, int]) -> None:
        with TritonControl(serving.triton.http) as own:
            while not stopped.is_set():
                with lock:
                    version = current[0]
                    under_way[version] += 1
                try:
                    answer = own.infer(FLOWERS, version, rows)["probabilities"]
                finally:
                    with lock:
                        under_way[version] -= 1
                assert np.abs(answer - wanted[version]["probabilities"]).max() <= golden.TOLERANCE
                mine[version] += 1

    def moved_to(version: str, other: str) -> bool:
        return under_way[other] == 0 and all(mine[version] > 0 for mine in answered)

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(send, mine) for mine in answered]
        try:
            wait_for(lambda: moved_to("1", "2"))
            for old, new, bundle in (("1", "2", flowers_2), ("2", "1", flowers_1)):
                add_version(repository, bundle, new, Layout.PYTHON)
                write_config(repository, bundle.contract, [old, new], Layout.PYTHON)
                control.load(FLOWERS)
                assert control.ready_versions(FLOWERS) == {"1", "2"}
                golden.check(bundle, infer_by(control, FLOWERS, new))
                for mine in answered:
                    mine[new] = 0
                with lock:
                    current[0] = new
                wait_for(lambda new=new, old=old: moved_to(new, old))  # type: ignore[misc]
                write_config(repository, bundle.contract, [new], Layout.PYTHON)
                control.load(FLOWERS)
                remove_version(repository, FLOWERS, old)
                wait_for(lambda new=new: control.ready_versions(FLOWERS) == {new})  # type: ignore[misc]
        finally:
            stopped.set()
        for caller in callers:
            caller.result()


def test_invalid_model_is_refused_with_the_reason_and_the_old_one_serves_on(
    serving: Serving, mails_1: Bundle
) -> None:
    """A graph that is none: Triton says what is wrong, answers as before, and is healed by the old policy."""
    add_version(serving.repository, mails_1, "3", Layout.PYTHON)
    graph = serving.repository / MAILS / "3" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:1000])
    write_config(serving.repository, mails_1.contract, ["1", "3"], Layout.PYTHON)
    with pytest.raises(TritonRefused) as refused:
        serving.control.load(MAILS)
    assert "version 3" in refused.value.reasons[0]
    assert "INVALID_PROTOBUF" in refused.value.reasons[0]
    assert serving.control.ready_versions(MAILS) == {"1"}
    golden.check(mails_1, infer_by(serving.control, MAILS))
    write_config(serving.repository, mails_1.contract, ["1"], Layout.PYTHON)
    serving.control.load(MAILS)
    golden.check(mails_1, infer_by(serving.control, MAILS))
    with pytest.raises(TritonRefused):
        serving.control.load("nobody")


def test_it_stops_in_time_and_leaves_no_process_and_no_memory(tmp_path: Path, flowers_1: Bundle) -> None:
    """Also its models' own processes, and the shared memory through which they talk."""
    repository = tmp_path / "repository"
    serve(repository, flowers_1, "1")
    with running(repository, {FLOWERS: "1"}) as triton:
        family = [psutil.Process(triton.pid), *psutil.Process(triton.pid).children(recursive=True)]
        assert len(family) > 1
        memory = list(SHARED_MEMORY.glob(f"sluice-{triton.ports.http}*"))
        assert memory
        control = TritonControl(triton.http)
        assert control.ready()
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    assert not [path for path in memory if path.exists()]
    assert not control.ready()
    with pytest.raises(TritonUnreachable, match="Nothing answers"):
        control.index()
    with pytest.raises(TritonUnreachable, match="Nothing answers"):
        TritonControl(triton.http, grpc=triton.grpc).load(FLOWERS)
    control.close()


def test_started_anew_it_serves_what_it_served_and_a_broken_model_keeps_nobody_from_it(
    tmp_path: Path, flowers_1: Bundle, mails_1: Bundle
) -> None:
    """As after a kill: the command alone, told of no model, goes by the repository."""
    repository = tmp_path / "repository"
    serve(repository, flowers_1, "5")
    serve(repository, mails_1, "1")
    (repository / MAILS / "1" / "model.onnx").write_bytes(b"no graph")
    ports = free_ports()
    how = command(repository, ports)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            how.arguments,
            env={**os.environ, **how.environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            with TritonControl(f"127.0.0.1:{ports.http}") as control:
                wait_for(control.ready)
                golden.check(flowers_1, infer_by(control, FLOWERS, "5"))
                assert not control.model_ready(MAILS, "1")
                states = {line.model: line for line in control.index()}
                assert states[MAILS].state == "UNAVAILABLE"
                assert "INVALID_PROTOBUF" in states[MAILS].reason
        finally:
            stop(process, 5)
            free_shared_memory([ports.http])


@pytest.mark.parametrize("taken_field", Ports._fields)
def test_port_that_was_taken_meanwhile_is_chosen_anew(taken_field: str, tmp_path: Path) -> None:
    """Whichever it is; and when there is no free one, the end of the log says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = free_ports()._replace(**{taken_field: listener.getsockname()[1]})
        choices = iter([taken, free_ports()])
        with running(tmp_path / "repository", choose=lambda: next(choices)) as triton:
            assert listener.getsockname()[1] not in triton.ports
        if taken_field == "http":
            with pytest.raises(TritonFailed, match="ended with code 1") as failed:  # noqa: SIM117
                with running(tmp_path / "repository", choose=lambda: taken):
                    pass
            assert "already in use" in failed.value.message


def test_model_that_is_not_in_the_repository_is_refused_by_name(tmp_path: Path) -> None:
    """An empty repository is made, and serves nothing; what is asked for is said."""
    with pytest.raises(TritonRefused) as refused:  # noqa: SIM117 - one raises
        with running(tmp_path / "new" / "repository", {"nobody": "1"}):
            pass
    assert "nobody" in refused.value.reasons[0]
