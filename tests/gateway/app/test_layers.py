"""What every request and every answer goes through, whichever its path."""

import asyncio
import io
import itertools
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts import gateway as paths
from contracts.environments import Environment
from contracts.metrics import METRICS
from gateway.access_log import AccessLog
from gateway.app import Gateway
from gateway.routes.lean import LeanRoute
from gateway.settings import GatewaySettings
from kit.settings import SettingsError
from tests.gateway.app.stand import HAM, SPAM, Stand, client_of, problem_of, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SAFETY = {
    "x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer",
    "cache-control": "no-store", "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}  # fmt: skip
ORIGIN = "https://app.example.org"


@pytest.mark.parametrize("name", ["a", "A-z_0.9:x", "x" * 100])
async def test_a_well_formed_request_id_is_kept(stand: Stand, name: str) -> None:
    """And comes back with an answer, and with an error."""
    assert (await stand.predict(X_Request_Id=name)).json()["request_id"] == name
    assert (
        problem_of(await stand.client.get("/nowhere", headers={"X-Request-Id": name}))["request_id"] == name
    )


@pytest.mark.parametrize("name", ["", "x" * 101, "a b", "a\tb", "é", "a~shadow", "../x", "a\n"])
async def test_another_request_id_is_replaced(stand: Stand, name: str) -> None:
    """It would break logs, or the names that are made from it."""
    answer = await stand.client.get(paths.LIVE, headers=[(b"X-Request-Id", name.encode("latin-1"))])
    made = answer.headers["x-request-id"]
    assert made != name
    assert len(made) == 32


@pytest.mark.parametrize(
    ("path", "status"), [(paths.LIVE, 200), (paths.PREDICT, 405), ("/nowhere", 404), ("/openapi.json", 200)]
)
async def test_every_answer_tells_browsers_to_be_careful(stand: Stand, path: str, status: int) -> None:
    """Errors too."""
    answer = await stand.client.get(path)
    assert answer.status_code == status
    assert SAFETY.items() <= dict(answer.headers).items()
    assert "server" not in answer.headers


async def test_head_is_get_without_a_body(stand: Stand) -> None:
    """As monitors ask."""
    for path in (paths.LIVE, "/health", "/ready", paths.READY, "/docs"):
        whole, head = await stand.client.get(path), await stand.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == whole.headers["content-length"]
    assert (await stand.client.head(paths.PREDICT)).status_code == 405


async def test_a_path_asked_in_another_way_tells_how(stand: Stand) -> None:
    """GET includes HEAD."""
    answer = await stand.client.post(paths.MODELS)
    assert problem_of(answer)["code"] == "method_refused"
    assert answer.headers["allow"] == "GET, HEAD"
    assert (await stand.client.get("/v2/models/spam-detector/infer")).headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/", "/v1/predict/", "/v1", "/V1/predict", "//v1/predict", "/docs/assets/x"]
)
async def test_no_path_is_guessed(stand: Stand, path: str) -> None:
    """No redirects: a POST would lose its body, and a key might travel to elsewhere."""
    assert problem_of(await stand.client.get(f"http://gateway{path}"))["code"] == "unknown_path"


async def test_every_route_below_v1_and_v2_needs_a_key(stand: Stand) -> None:
    """Whatever else is wrong with the request; and no other route does, but metrics from afar."""
    asked = 0
    async with client_of(stand.gateway, {}, address="192.0.2.44") as nobody:
        for route in stand.gateway.api.router.routes:
            assert isinstance(route, LeanRoute)
            path = route.path.replace(":path", "").replace("{name}", "favicon.png")
            path = path.replace("{model}", "m").replace("{version}", "1").replace("{request_id}", "r")
            for method in route.methods or ():
                answer = await nobody.request(method, path.replace("{path}", "models/m/config"), content=b"{")
                guarded = path.startswith(("/v1", "/v2")) or path == "/metrics"
                assert (answer.status_code == 401) == guarded, (method, path, answer.status_code)
                asked += 1
    assert asked > 20


async def test_metrics_are_for_near_networks_and_admins(stand: Stand, root: Path) -> None:
    """A request through a proxy is not near, wherever the proxy is."""
    admin = await stand.key("metrics-admin", admin=True)
    async with client_of(stand.gateway, {}) as near, client_of(stand.gateway, {}, address="192.0.2.5") as far:
        assert (await near.get("/metrics")).status_code == 200
        assert (await near.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})).status_code == 401
        assert (await far.get("/metrics")).status_code == 401
        assert (await far.get("/metrics", headers=dict(stand.client.headers))).status_code == 403
        assert (await far.get("/metrics", headers=admin)).status_code == 200


async def test_requests_are_counted_and_timed(stand: Stand) -> None:
    """By route, environment, version and status."""
    told = await stand.predict(X_Environment="production")
    labels = {"route": paths.PREDICT, "environment": "production"}
    counted = labels | {"version": told.json()["version"], "status": "200"}
    before = stand.value("sluice_gateway_requests_total", **counted)
    timed = stand.value("sluice_gateway_request_seconds_count", **labels)
    await stand.predict(X_Environment="production")
    assert stand.value("sluice_gateway_requests_total", **counted) == before + 1
    assert stand.value("sluice_gateway_request_seconds_count", **labels) == timed + 1
    unknown = {"route": "", "environment": "", "version": "", "status": "404"}
    missed = stand.value("sluice_gateway_requests_total", **unknown)
    await stand.client.get("/nowhere")
    await stand.client.get("/elsewhere")
    assert stand.value("sluice_gateway_requests_total", **unknown) == missed + 2
    text = (await stand.client.get("/metrics")).text
    assert 'sluice_gateway_model{environment="production",model="spam-detector",version=' in text


async def test_every_metric_of_the_contract_is_told(stand: Stand) -> None:
    """Dashboards and alert rules are held against those names."""
    await stand.predict()
    text = (await stand.client.get("/metrics")).text
    wanted = [metric.name for metric in METRICS if metric.name.startswith("sluice_gateway_")]
    assert [name for name in wanted if f"# HELP {name.removesuffix('_total')}" not in text] == []
    assert stand.value("sluice_gateway_defaulted_features_total", environment="staging") > 0


async def test_each_request_is_one_line_of_log(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """With who asked what and how it went, and nothing of the message; probes that go well are silent."""
    caplog.set_level("INFO", logger="gateway")
    stream = io.TextIOWrapper(io.BytesIO())
    gateway = Gateway(stand.gateway.parts, AccessLog(stream))
    async with client_of(gateway, stand.client.headers) as client:
        await client.post(
            paths.PREDICT, json={"raw": SPAM}, headers={"X-Request-Id": "logged", "traceparent": PARENT}
        )
        await client.get(paths.LIVE)
        await client.get("/nowhere?raw=winner")
    first, second = map(orjson.loads, stream.buffer.getvalue().splitlines())
    assert (first["event"], first["route"], first["status"]) == ("request", paths.PREDICT, 200)
    assert (first["request_id"], first["environment"]) == ("logged", "staging")
    assert first["trace_id"] == PARENT[3:35]
    assert first["key_name"].startswith("tests-")
    assert first["ms"] > 0
    assert first["version"]
    assert (second["status"], second["code"], second["level"]) == (404, "unknown_path", "info")
    assert b"winner" not in stream.buffer.getvalue()
    assert stand.client.headers["x-api-key"].encode() not in stream.buffer.getvalue()


@pytest.mark.parametrize("value", ["prod", "Staging", "", " staging,production", "STAGING"])
async def test_another_environment_is_refused(stand: Stand, value: str) -> None:
    """And told which ones there are."""
    told = problem_of(await stand.predict(X_Environment=value))
    assert (told["status"], told["code"]) == (400, "unknown_environment")
    assert "staging, production" in told["next_step"]


@pytest.mark.parametrize("name", ["X-Environment", "X-API-Key", "Content-Type", "X-Request-Timeout-Ms"])
async def test_a_header_that_says_two_things_is_refused(stand: Stand, name: str) -> None:
    """Even twice the same: proxies on the way may read the one, and we the other."""
    value = {"X-API-Key": stand.client.headers["x-api-key"], "X-Environment": "staging"}.get(name, "1000")
    twice = [(name, value), (name, value)]
    async with client_of(stand.gateway, {}) as client:
        own = [] if name == "X-API-Key" else [("X-API-Key", stand.client.headers["x-api-key"])]
        answer = await client.post(paths.PREDICT, content=b"{}", headers=[*own, *twice])
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "9" * 400, "\u00b2"])
async def test_a_time_that_is_none_is_refused(stand: Stand, value: str) -> None:
    """Whole milliseconds, at least one."""
    headers = [
        (b"X-Request-Timeout-Ms", value.encode("latin-1")),
        (b"X-API-Key", stand.client.headers["x-api-key"].encode()),
    ]
    async with client_of(stand.gateway, {}) as client:
        answer = await client.post(paths.PREDICT, json={"raw": SPAM}, headers=headers)
    assert problem_of(answer)["code"] == "invalid_request"


async def test_scopes_hold_for_environments_and_models(stand: Stand) -> None:
    """401 and 403 are told apart, and the list of models ends where the key does."""
    staging = await stand.key("staging-only", environments=(Environment.STAGING,))
    iris = await stand.key("iris-only", models=("iris",))
    refused = [
        await stand.predict(**staging, X_Environment="production"),
        await stand.predict(**iris),
        await stand.client.get("/v2/models/spam-detector", headers=iris),
        await stand.client.get(paths.MODELS, headers=staging | {"X-Environment": "production"}),
        await stand.client.get("/v2/health/ready", headers=staging | {"X-Environment": "production"}),
    ]
    assert [problem_of(answer)["code"] for answer in refused] == ["scope_missing"] * 5
    assert (await stand.predict(**staging)).status_code == 200
    listed = (await stand.client.get(paths.MODELS, headers=staging)).json()["models"]
    assert [model["environment"] for model in listed] == ["staging"]
    assert (await stand.client.get(paths.MODELS, headers=iris)).json()["models"] == []


async def test_a_lookup_reaches_as_far_as_its_key(stand: Stand) -> None:
    """What production answered is not told to a key for staging, nor can it be labelled with it."""
    name = (await stand.predict(X_Environment="production")).json()["request_id"]
    staging = await stand.key("no-production", environments=(Environment.STAGING,))
    answer = await stand.client.get(f"{paths.PREDICTIONS}/{name}", headers=staging)
    assert problem_of(answer)["code"] == "scope_missing"
    said = await stand.client.post(paths.FEEDBACK, json={"request_id": name, "label": "ham"}, headers=staging)
    assert problem_of(said)["code"] == "scope_missing"


async def test_no_environment_leaks_into_another_under_mixed_load(stand: Stand) -> None:
    """Every answer is of the environment that was asked, by its version, with its own id and probability."""
    versions = {
        model["environment"]: model["version"]
        for model in (await stand.client.get(paths.MODELS)).json()["models"]
    }
    messages = (SPAM, HAM, "Subject: x\n\n" + "meeting prize " * 3000)
    expected: dict[tuple[str, str], float] = {}
    for environment, message in itertools.product(versions, messages):
        expected[environment, message] = (await stand.predict(message, X_Environment=environment)).json()[
            "probability"
        ]

    async def one(index: int) -> None:
        environment = ("staging", "production")[index % 2]
        message = messages[index % 3]
        name = f"mixed-{index}"
        if index % 5 == 0:
            answer = await stand.client.post(
                paths.PREDICT_BATCH, json={"emails": [{"raw": message}] * 3},
                headers={"X-Environment": environment, "X-Request-Id": name},
            )  # fmt: skip
            told = [item["result"] for item in answer.json()["items"]]
            assert [item["request_id"] for item in told] == [f"{name}.{at}" for at in range(3)]
        else:
            answer = await stand.predict(message, X_Environment=environment, X_Request_Id=name)
            told = [answer.json()]
        assert answer.status_code == 200, answer.text
        assert answer.json()["environment"] == answer.headers["x-environment"] == environment
        assert answer.json()["version"] == answer.headers["x-model-version"] == versions[environment]
        assert answer.headers["x-request-id"] == answer.json()["request_id"] == name
        assert [item["probability"] for item in told] == pytest.approx(
            [expected[environment, message]] * len(told), abs=1e-6
        )

    for start in range(0, 300, 60):
        await asyncio.gather(*(one(index) for index in range(start, start + 60)))


async def test_pages_of_other_origins_may_call_if_they_are_listed(
    root: Path, embedded: dict[str, Any]
) -> None:
    """Without cookies; others are refused with a problem."""
    async with standing(root, **embedded, cors_origins=(ORIGIN,), record=False) as stand:
        preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
                     "Access-Control-Request-Headers": "x-api-key,x-environment,content-type"}  # fmt: skip
        allowed = await stand.client.options(paths.PREDICT, headers=preflight)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
        assert "access-control-allow-credentials" not in allowed.headers
        answer = await stand.predict(Origin=ORIGIN)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
        other = await stand.client.options(
            paths.PREDICT, headers=preflight | {"Origin": "https://other.example"}
        )
        assert problem_of(other)["code"] == "invalid_request"
        assert (
            "access-control-allow-origin" not in (await stand.predict(Origin="https://other.example")).headers
        )


async def test_errors_are_told_to_pages_of_listed_origins_too(root: Path, embedded: dict[str, Any]) -> None:
    """Or a browser would show its page nothing but a failed call."""
    async with standing(root, **embedded, cors_origins=(ORIGIN,), record=False) as stand:
        answer = await stand.predict(Origin=ORIGIN, X_Environment="prod")
        assert problem_of(answer)["code"] == "unknown_environment"
        assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_https_only_believes_trusted_proxies_alone(root: Path, embedded: dict[str, Any]) -> None:
    """Probes of the machine itself stay plain."""
    values = {**embedded, "https_only": True, "trusted_proxies": ("192.0.2.0/24",), "record": False}
    async with standing(root, **values) as stand:
        key = dict(stand.client.headers)
        async with (
            client_of(stand.gateway, key, address="192.0.2.7") as proxy,
            client_of(stand.gateway, key) as liar,
        ):
            told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
            answer = await proxy.post(paths.PREDICT, json={"raw": SPAM}, headers=told)
            assert answer.status_code == 200, answer.text
            assert answer.headers["strict-transport-security"]
            plain = await proxy.post(
                paths.PREDICT, json={"raw": SPAM}, headers=told | {"X-Forwarded-Proto": "http"}
            )
            assert problem_of(plain)["status"] == 426
            assert (
                problem_of(await liar.post(paths.PREDICT, json={"raw": SPAM}, headers=told))["status"] == 426
            )
            assert (await liar.get(paths.LIVE)).status_code == 200


async def test_a_wrong_key_is_counted_against_the_client_of_a_trusted_proxy(
    root: Path, embedded: dict[str, Any]
) -> None:
    """And not against all who come through it."""
    values = {**embedded, "trusted_proxies": ("192.0.2.7",), "attempts_per_minute": 2, "record": False}
    async with standing(root, **values) as stand:
        key = dict(stand.client.headers)
        async with client_of(stand.gateway, {}, address="192.0.2.7") as proxy:
            statuses = [
                (
                    await proxy.get(
                        paths.MODELS, headers={"X-API-Key": "wrong", "X-Forwarded-For": "203.0.113.9"}
                    )
                ).status_code
                for _ in range(4)
            ]
            assert statuses == [401, 401, 429, 429]
            good = await proxy.get(paths.MODELS, headers=key | {"X-Forwarded-For": "203.0.113.10"})
            assert good.status_code == 200


async def test_all_bodies_together_have_a_limit(root: Path, embedded: dict[str, Any]) -> None:
    """Whoever comes when it is reached is told to come back; a chunked body counts as it comes."""
    async with standing(root, **embedded, max_bytes_at_once=4096, record=False) as stand:
        large = {"raw": "x" * 5000}
        assert problem_of(await stand.client.post(paths.PREDICT, json=large))["code"] == "overloaded"

        async def pieces() -> Any:
            for _ in range(5):
                yield b"x" * 1000

        chunked = await stand.client.post(
            paths.PREDICT, content=pieces(), headers={"Content-Type": "message/rfc822"}
        )
        assert problem_of(chunked)["code"] == "overloaded"
        assert (await stand.predict()).status_code == 200


async def test_without_authentication_nobody_is_an_admin(root: Path, embedded: dict[str, Any]) -> None:
    """And everybody may ask."""
    async with (
        standing(root, **embedded, authentication=False, development=True, record=False) as stand,
        client_of(stand.gateway, {}, address="192.0.2.5") as anybody,
    ):
        assert (await anybody.post(paths.PREDICT, json={"raw": SPAM})).status_code == 200
        assert problem_of(await anybody.get("/metrics"))["code"] == "scope_missing"


async def test_authentication_stays_on_outside_development(root: Path, embedded: dict[str, Any]) -> None:
    """Unless it is said that something else guards the door."""
    with pytest.raises(SettingsError, match="GATEWAY_AUTHENTICATION"):
        async with standing(root, **embedded, authentication=False):
            pass
    async with standing(
        root, **embedded, authentication=False, protected_otherwise=True, record=False
    ) as stand:
        assert (await stand.predict()).status_code == 200


@pytest.mark.parametrize(
    "values",
    [{"cors_origins": ("*",)}, {"cors_origins": ("https://*.example.org",)}, {"cors_origins": ("https://a.example/x",)},
     {"trusted_proxies": ("proxy",)}, {"metrics_networks": ("10.0.0.1/8",)}, {"environments": ()},
     {"environments": ("staging", "staging")}],
)  # fmt: skip
async def test_settings_that_open_too_much_are_refused(values: dict[str, Any]) -> None:
    """With a sentence, before anything starts."""
    with pytest.raises(SettingsError):
        GatewaySettings.load(**values)


async def test_readiness_tells_each_environment(stand: Stand, root: Path, mails: dict[str, Path]) -> None:
    """200 as long as one of them answers, with the reason of the other one."""
    answer = await stand.client.get(paths.READY)
    assert answer.json() == {
        "status": "ready",
        "environments": {"staging": True, "production": True},
        "degraded": [],
    }
    async with standing(
        root, backend="embedded", bundles={"staging": mails["staging"]}, record=False
    ) as half:
        answer = await half.client.get(paths.READY)
        told = answer.json()
        assert (answer.status_code, told["status"]) == (200, "degraded")
        assert told["environments"] == {"staging": True, "production": False}
        assert [reason for reason in told["degraded"] if "production" in reason] == told["degraded"] != []
        of_one = await half.client.get("/v2/health/ready", headers={"X-Environment": "production"})
        assert of_one.status_code == 503
        assert (await half.predict()).status_code == 200
        assert problem_of(await half.predict(X_Environment="production"))["status"] in {404, 503}


async def test_the_pages_load_nothing_from_elsewhere(stand: Stand) -> None:
    """Their scripts come from here, and their policy allows no other."""
    for page in ("/docs", "/redoc"):
        answer = await stand.client.get(page)
        assert answer.headers["content-type"].startswith("text/html")
        assert "https://" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        loaded = [part.split('"')[0] for part in answer.text.split('src="')[1:]]
        loaded += [part.split('"')[0] for part in answer.text.split('href="')[1:] if part.startswith("/")]
        assert loaded
        for path in loaded:
            assert (await stand.client.get(path)).status_code == 200, path
    async with standing(stand.root, backend="embedded", docs=False, record=False) as hidden:
        assert {
            (await hidden.client.get(path)).status_code for path in ("/docs", "/redoc", "/openapi.json")
        } == {404}
