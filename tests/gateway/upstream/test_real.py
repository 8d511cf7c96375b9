"""The gateway as a process before a real Triton and a real transformer, asked by clients of others."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
import tritonclient.http as tritonhttp
from sqlalchemy import select
from tritonclient.utils import InferenceServerException

from contracts.environments import Environment
from contracts.routes import Route, route_file
from kit.bundle import Bundle
from kit.files import write_text
from kit.home import Home
from kit.onnx_function import OnnxFunction
from records.tables.prediction_logs import PredictionLog
from serving import model_repository
from serving.model_repository import Layout, ModelOptions
from serving.triton_control import TritonControl
from tests.gateway.app.stand import made_key
from tests.records.conftest import connect, migrated
from tests.serving.transformer.stand import TransformerProcess, TritonProcess, transformer, until

pytestmark = pytest.mark.xdist_group("gateway-oip")

STAGING, PRODUCTION = Environment.STAGING, Environment.PRODUCTION
MAILS, FLOWERS = "spam-detector", "iris"
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0], [4.9, 2.4, 3.3, 1.0]], np.float32)
MESSAGES = [
    b"From: Ann <ann@known.example>\r\nSubject: Meeting report\r\n\r\nminutes attached thanks\r\n",
    b"From: x@y.example\nSubject: WINNER\n\nclaim your free prize casino winner\n\xff\xfe",
]
OPTIONS = ModelOptions(instances=1)


class Place(NamedTuple):
    """All that serves: one Triton with both models, a transformer in staging, the gateway before them."""

    home: Home
    triton: TritonProcess
    transformer: TransformerProcess
    url: str
    key: str

    @property
    def host(self) -> str:
        """host:port of the gateway."""
        return self.url.removeprefix("http://")

    def headers(self, environment: Environment = STAGING) -> dict[str, str]:
        """Returns what a client sends with each request."""
        return {"X-API-Key": self.key, "X-Environment": environment}

    def route(self, model: str, environment: Environment, version: str, bundle: Bundle, url: str) -> None:
        """Writes a route as a promotion does."""
        written = Route(
            model=model,
            environment=environment,
            version=version,
            bundle=bundle.folder,
            bundle_digest=bundle.digest,
            triton_http=f"127.0.0.1:{self.triton.ports.http}",
            triton_grpc=f"127.0.0.1:{self.triton.ports.grpc}",
            url=url,
            transformer=model == MAILS,
            since=datetime.now(UTC),
        )
        write_text(route_file(self.home.serving, environment, model), written.model_dump_json())

    def serve_flowers(self, environment: Environment, version: str, bundle: Bundle) -> None:
        """Has a version of the model of numbers answer in an environment."""
        self.route(FLOWERS, environment, version, bundle, f"http://127.0.0.1:{self.triton.ports.http}")

    def load(self, bundle: Bundle, *versions: str) -> None:
        """Has Triton hold these versions of the model of numbers, and no others."""
        model_repository.write_config(
            self.triton.repository, bundle.contract, versions, Layout.PYTHON, OPTIONS
        )
        address = f"127.0.0.1:{self.triton.ports.http}"
        with TritonControl(address, grpc=f"127.0.0.1:{self.triton.ports.grpc}") as control:
            control.load(FLOWERS)


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, mails_1: Bundle, flowers_1: Bundle, flowers_2: Bundle
) -> Iterator[Place]:
    """What serves; ended whatever comes."""
    folder = tmp_path_factory.mktemp("place")
    home = Home(folder / "home")
    migrated(f"sqlite+aiosqlite:///{home.records}")
    key = made_key(home.root, "tests")
    triton = TritonProcess(folder, {"1": mails_1})
    model_repository.write_config(triton.repository, mails_1.contract, ["1"], Layout.PYTHON, OPTIONS)
    for version, bundle in (("1", flowers_1), ("2", flowers_2)):
        model_repository.add_version(triton.repository, bundle, version, Layout.PYTHON)
    model_repository.write_config(triton.repository, flowers_1.contract, ["1", "2"], Layout.PYTHON, OPTIONS)
    patience = {"TRANSFORMER_SENDER_BUDGET_SECONDS": "10"}
    with transformer(folder / "transformer", home.root, **patience) as process:
        triton.start()
        try:
            made = Place(home, triton, process, "", key)
            process.follow(triton.route("1", mails_1))
            made.route(MAILS, STAGING, "1", mails_1, f"http://{process.host}")
            made.serve_flowers(STAGING, "1", flowers_1)
            made.serve_flowers(PRODUCTION, "2", flowers_2)
            process.until_ready("1")
            with gateway(home, folder / "gateway.log") as url:
                yield made._replace(url=url)
        finally:
            triton.stop()


class gateway:  # noqa: N801 - a context manager
    """Runs the gateway as a process; yields its address."""

    def __init__(self, home: Home, log: Path) -> None:
        self._log = log
        environment = {
            "SLUICE_HOME": str(home.root),
            "GATEWAY_PORT": "0",
            "GATEWAY_TIMEOUT_SECONDS": "60",
            "GATEWAY_MAX_TIMEOUT_SECONDS": "60",
        }
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    def __enter__(self) -> str:
        until(lambda: self._listening() is not None or self._process.poll() is not None, str(self._log))
        url = self._listening()
        assert url is not None, self._log.read_text()
        return url

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        assert self._process.wait(60) == 0

    def _listening(self) -> str | None:
        for line in self._log.read_text().splitlines():
            told = json.loads(line) if line.startswith("{") else {}
            if told.get("event") == "gateway_listening":
                return str(told["url"])
        return None


def email_input(*, binary: bool) -> Any:
    """Returns e-mails as a tensor of tritonclient."""
    elements = MESSAGES if binary else [message.decode("latin-1").encode() for message in MESSAGES]
    tensor = tritonhttp.InferInput("email", [len(elements)], "BYTES")
    tensor.set_data_from_numpy(np.array(elements, dtype=np.object_), binary_data=binary)
    return tensor


def number_input(rows: Any = ROWS, *, binary: bool = True) -> Any:
    """Returns numbers as a tensor of tritonclient."""
    tensor = tritonhttp.InferInput("features", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows, binary_data=binary)
    return tensor


def rows_of(home: Home, request_id: str, count: int) -> list[PredictionLog]:
    """Returns what the records hold of a request, once it is there."""

    async def read() -> list[PredictionLog]:
        records = connect(f"sqlite+aiosqlite:///{home.records}")
        try:
            async with records.reading() as session:
                query = select(PredictionLog).where(PredictionLog.request_id.startswith(request_id))
                return list(await session.scalars(query.order_by(PredictionLog.request_id)))
        finally:
            await records.close()

    until(lambda: len(asyncio.run(read())) >= count, f"{count} rows of {request_id}")
    return asyncio.run(read())


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tritonclient_gets_of_the_gateway_what_the_transformer_says(
    place: Place, binary_in: bool, binary_out: bool
) -> None:
    """Unmodified; both forms both ways, the same outputs with the same values, and nothing added."""
    wanted = [
        tritonhttp.InferRequestedOutput(name, binary_data=binary_out) for name in ("verdict", "probability")
    ]
    answers = []
    for host in (place.host, place.transformer.host):
        with tritonhttp.InferenceServerClient(host, network_timeout=60) as client:
            answers.append(
                client.infer(
                    MAILS,
                    [email_input(binary=binary_in)],
                    outputs=wanted,
                    request_id="seven",
                    headers=place.headers(),
                )
            )
    gateways, transformers = answers
    for name in ("verdict", "probability"):
        assert np.array_equal(gateways.as_numpy(name), transformers.as_numpy(name))
    told, expected = gateways.get_response(), transformers.get_response()
    assert [output["name"] for output in told["outputs"]] == ["verdict", "probability"]
    assert {key: told[key] for key in ("model_name", "model_version", "id")} == {
        key: expected[key] for key in ("model_name", "model_version", "id")
    }


@pytest.mark.parametrize("binary", [True, False])
def test_numbers_are_answered_by_the_version_of_their_environment(
    place: Place, flowers_1: Bundle, flowers_2: Bundle, binary: bool
) -> None:
    """Triton is asked directly, and answers as the bundle's own graph."""
    with tritonhttp.InferenceServerClient(place.host, network_timeout=60) as client:
        for environment, version, bundle in ((STAGING, "1", flowers_1), (PRODUCTION, "2", flowers_2)):
            answer = client.infer(FLOWERS, [number_input(binary=binary)], headers=place.headers(environment))
            expected = OnnxFunction(bundle.model.read_bytes())({"features": ROWS})
            assert answer.get_response()["model_version"] == version
            assert np.array_equal(answer.as_numpy("label").ravel(), expected["label"])
            assert np.array_equal(answer.as_numpy("probabilities"), expected["probabilities"])


def test_tritonclient_sees_a_server_and_its_models(place: Place) -> None:
    """Live, ready, described; and nothing that would change the server behind."""
    staging, production = place.headers(), place.headers(PRODUCTION)
    with tritonhttp.InferenceServerClient(place.host, network_timeout=60) as client:
        assert client.is_server_live(headers=staging)
        until(lambda: bool(client.is_server_ready(headers=staging)), "ready")
        assert client.get_server_metadata(headers=staging)["name"] == "sluice-gateway"
        for model in (MAILS, FLOWERS):
            assert client.is_model_ready(model, headers=staging)
            assert client.is_model_ready(model, "1", headers=staging)
            assert client.get_model_metadata(model, headers=staging)["name"] == model
        assert client.get_model_metadata(FLOWERS, headers=production)["versions"] == ["2"]
        assert not client.is_model_ready(FLOWERS, "2", headers=staging)
        assert not client.is_model_ready(MAILS, headers=production)
        assert client.get_model_config(FLOWERS, headers=staging)["name"] == FLOWERS
        counted = client.get_inference_statistics(FLOWERS, headers=staging)
        assert counted["model_stats"][0]["name"] == FLOWERS
        with pytest.raises(InferenceServerException, match="no such path"):
            client.unload_model(FLOWERS, headers=staging)
        with pytest.raises(InferenceServerException, match="no such path"):
            client.get_model_repository_index(headers=staging)
        with pytest.raises(InferenceServerException, match="not served in production"):
            client.infer(MAILS, [email_input(binary=True)], headers=production)
        with pytest.raises(InferenceServerException, match="FP32 of shape"):
            client.infer(FLOWERS, [number_input(ROWS[:, :3])], headers=staging)
        with pytest.raises(InferenceServerException, match="did not accept"):
            client.infer(FLOWERS, [number_input(np.zeros((1000, 4), np.float32))], headers=staging)
        tensor = tritonhttp.InferInput("email", [200], "BYTES")
        tensor.set_data_from_numpy(np.array([b"a"] * 200, dtype=np.object_))
        with pytest.raises(InferenceServerException, match="1 to 128 e-mails"):
            client.infer(MAILS, [tensor], headers=staging)


def test_kserve_s_client_works_as_it_is(place: Place) -> None:
    """In a process of its own: it cannot share one with tritonclient's gRPC stubs."""
    program = Path(__file__).parent / "kserve_client.py"
    done = subprocess.run(
        [sys.executable, str(program), place.url, place.key], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    with tritonhttp.InferenceServerClient(place.host, network_timeout=60) as client:
        expected = client.infer(FLOWERS, [number_input(ROWS[:1])], headers=place.headers())
    labels = expected.as_numpy("label").ravel().tolist()
    assert told == {"live": True, "ready": True, "model": True, "json": labels, "binary": labels}


def test_every_row_is_remembered(place: Place, flowers_1: Bundle) -> None:
    """E-mails and numbers, with version, environment, what the model saw and what it said."""
    with tritonhttp.InferenceServerClient(place.host, network_timeout=60) as client:
        for model, tensor in ((FLOWERS, number_input()), (MAILS, email_input(binary=True))):
            label = tritonhttp.InferRequestedOutput("label")
            headers = place.headers() | {"X-Request-Id": f"rows-{model}"}
            client.infer(model, [tensor], outputs=[label], headers=headers)
    flowers = rows_of(place.home, f"rows-{FLOWERS}", 3)
    assert [list(row.numeric) for row in flowers] == ROWS.tolist()
    assert {row.label for row in flowers} <= set(flowers_1.contract.classes)
    assert {(row.model_version, row.environment) for row in flowers} == {("1", "staging")}
    assert {row.schema_digest for row in flowers} == {flowers_1.contract.schema_digest}
    mails = rows_of(place.home, f"rows-{MAILS}", 2)
    assert [row.sender for row in mails] == ["ann@known.example", "x@y.example"]
    assert all(len(row.numeric) == 24 and row.message_sha256 for row in mails)


async def test_environments_are_not_mixed_under_load(place: Place) -> None:
    """Each answer is by the version of the environment that was asked for, in body and head."""
    versions: Mapping[Environment, str] = {STAGING: "1", PRODUCTION: "2"}
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 4], "data": ROWS[0].tolist()}
    limits = httpx.Limits(max_connections=16)
    async with httpx.AsyncClient(base_url=place.url, timeout=60, trust_env=False, limits=limits) as client:

        async def one(number: int) -> None:
            environment = (STAGING, PRODUCTION)[number % 2]
            answer = await client.post(
                "/v2/models/iris/infer", json={"inputs": [tensor]}, headers=place.headers(environment)
            )
            assert answer.status_code == 200, answer.text
            assert answer.json()["model_version"] == versions[environment]
            assert answer.headers["x-environment"] == environment
            assert answer.headers["x-model-version"] == versions[environment]

        await asyncio.gather(*[one(number) for number in range(200)])


def test_a_promotion_fails_no_request(place: Place, flowers_1: Bundle, flowers_2: Bundle) -> None:
    """Loaded beside, route moved, former version unloaded at once, and back; asked all the while."""
    stopping = False
    seen: list[str] = []

    def client_asks() -> None:
        with tritonhttp.InferenceServerClient(place.host, network_timeout=60) as client:
            while not stopping:
                answer = client.infer(FLOWERS, [number_input()], headers=place.headers())
                seen.append(answer.get_response()["model_version"])

    def answered_by(version: str, since: int) -> bool:
        return seen[since:].count(version) > 20 or any(client.done() for client in clients)

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client_asks) for _ in range(4)]
        try:
            for version, bundle in (("2", flowers_2), ("1", flowers_1)):
                place.load(flowers_1, "1", "2")
                place.serve_flowers(STAGING, version, bundle)
                place.load(flowers_1, version)
                until(partial(answered_by, version, len(seen)), f"answers by version {version}")
        finally:
            stopping = True
        for client in clients:
            client.result()
    place.load(flowers_1, "1", "2")
