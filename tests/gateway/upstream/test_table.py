"""Which models answer where: route files that come, move, break and go, and the settings of a cluster."""

from pathlib import Path

import pytest

from contracts.environments import Environment
from gateway.errors import ModelUnknown, UpstreamNotReady
from gateway.measures import Measures
from gateway.settings import GatewaySettings
from gateway.upstream.table import RoutingTable
from kit.errors import UsageError
from kit.files import write_text
from kit.home import Home
from tests.gateway.upstream.stand import (
    FLOWERS,
    MAILS,
    PRODUCTION,
    SINCE,
    STAGING,
    asked,
    backend,
    contract_of,
    route,
    upstreams,
)


def table(home: Home, **settings: object) -> tuple[RoutingTable, Measures]:
    """Returns a table over the routes of a home, and what it measures."""
    measures = Measures()
    return RoutingTable(GatewaySettings(**settings), home, measures), measures  # type: ignore[arg-type]


def gauge(measures: Measures, version: str, model: str = MAILS) -> float | None:
    """Returns what the gauge says of a version in staging."""
    labels = {"environment": "staging", "model": model, "version": version}
    return measures.registry.get_sample_value("sluice_gateway_model", labels)


def test_a_route_is_followed_from_its_first_to_its_last_day(home: Home) -> None:
    """It comes, moves to another version, and goes."""
    routes, measures = table(home)
    with pytest.raises(UpstreamNotReady, match="Nothing is served in staging"):
        routes.find(STAGING, MAILS)
    path = route(home, "http://127.0.0.1:1", version="1")
    routes.read()
    first = routes.find(STAGING, MAILS)
    assert (first.version, first.url, first.transformer, first.since) == (
        "1",
        "http://127.0.0.1:1",
        True,
        SINCE,
    )
    route(home, "http://127.0.0.1:2", version="2")
    assert routes.again(first).version == "2"
    assert (gauge(measures, "1"), gauge(measures, "2")) == (0, 1)
    assert routes.knows(first, "1"), "whoever began on the former version ends on it"
    assert not routes.knows(first, "3")
    path.unlink()
    with pytest.raises(UpstreamNotReady):
        routes.again(first)
    assert gauge(measures, "2") == 0


def test_a_model_that_is_absent_is_told_apart_from_an_environment_that_is_empty(home: Home) -> None:
    """404 and 503."""
    route(home, "http://127.0.0.1:1")
    routes, _ = table(home)
    with pytest.raises(ModelUnknown):
        routes.find(STAGING, "../../etc")
    with pytest.raises(UpstreamNotReady):
        routes.find(PRODUCTION, MAILS)


@pytest.mark.parametrize("broken", ["", "{", '{"model": 1}', "\udcff"])
def test_a_broken_file_keeps_the_last_good_route(home: Home, broken: str) -> None:
    """And the next good one is followed."""
    path = route(home, "http://127.0.0.1:1")
    routes, _ = table(home)
    address = routes.find(STAGING, MAILS)
    path.write_bytes(broken.encode("utf-8", "surrogateescape"))
    assert routes.again(address) == address
    route(home, "http://127.0.0.1:1", version="2")
    assert routes.again(address).version == "2"


def test_a_route_in_the_wrong_place_is_not_followed(home: Home) -> None:
    """The folder and the name of a file say the same as what it holds."""
    path = route(home, "http://127.0.0.1:1", environment=PRODUCTION)
    write_text(path.parent.parent / "staging" / path.name, path.read_text())
    write_text(path.parent / "iris.json", path.read_text())
    routes, _ = table(home)
    assert not routes.served(STAGING)
    assert [address.model for address in routes.served(PRODUCTION)] == [MAILS]


def test_an_environment_that_is_not_served_here_has_no_routes(home: Home) -> None:
    """A gateway may be for one environment."""
    route(home, "http://127.0.0.1:1", environment=PRODUCTION)
    routes, _ = table(home, environments=(STAGING,))
    assert not routes.served(PRODUCTION)
    with pytest.raises(UpstreamNotReady):
        routes.find(PRODUCTION, MAILS)


def test_the_contract_is_believed_only_if_it_is_the_route_s(home: Home) -> None:
    """Another file under the same name is another model's word."""
    route(home, "http://127.0.0.1:1", model=FLOWERS, contract=contract_of(FLOWERS))
    routes, _ = table(home)
    address = routes.find(STAGING, FLOWERS)
    assert address.contract is not None
    (home.root / "bundles" / "iris-1" / "contract.json").write_text(
        contract_of(FLOWERS, ("no", "yes")).model_dump_json()
    )
    path = home.serving / "routes" / "staging" / "iris.json"
    write_text(path, path.read_text())
    assert routes.again(address).contract is None


async def test_what_is_served_is_told_with_version_time_and_figures(home: Home) -> None:
    """For GET /v1/models."""
    route(home, "http://127.0.0.1:1", model=FLOWERS, contract=contract_of(FLOWERS))
    route(home, "http://127.0.0.1:1")
    async with backend(home) as stand:
        flowers, mails = stand.backend.served(STAGING)
        assert (flowers.model, flowers.version, flowers.since) == (FLOWERS, "1", SINCE)
        assert (flowers.transformer, flowers.figures) == (False, {"f1": 0.9})
        assert (mails.transformer, mails.figures) == (True, {})
        assert not stand.backend.served(PRODUCTION)
        readiness = stand.backend.readiness(PRODUCTION)
        assert (readiness.ready, readiness.reason) == (False, "Nothing is served in production yet.")


async def test_in_a_cluster_the_settings_say_where_models_are(home: Home) -> None:
    """The version is what the server was last heard to say."""
    models = {STAGING: {MAILS: "http://127.0.0.1:1/", FLOWERS: "http://127.0.0.1:2"}}
    routes, measures = table(home, **upstreams(models))
    address = routes.find(STAGING, MAILS)
    assert str(address.infer) == "http://127.0.0.1:1/v2/models/spam-detector/infer"
    assert not routes.find(STAGING, FLOWERS).transformer
    assert (address.version, routes.version(address)) == (None, None)
    routes.heard(address, "4")
    routes.heard(address, "5")
    assert routes.version(address) == "5"
    assert (gauge(measures, "4"), gauge(measures, "5")) == (0, 1)
    assert routes.again(address) == address
    assert asked(PRODUCTION).environment is Environment.PRODUCTION
    with pytest.raises(UpstreamNotReady):
        routes.find(PRODUCTION, MAILS)


@pytest.mark.parametrize("url", ["transformer:8080", "ftp://a", "http://", "http://a/?b", "http://u:p@a"])
def test_an_address_that_is_none_is_refused_at_the_start(home: Home, url: str) -> None:
    """With the setting in the sentence."""
    with pytest.raises(UsageError, match="GATEWAY_UPSTREAMS"):
        table(home, **upstreams({STAGING: {MAILS: url}}))


def test_a_folder_of_routes_that_cannot_be_read_changes_nothing(home: Home, tmp_path: Path) -> None:
    """What was known goes on."""
    route(home, "http://127.0.0.1:1")
    routes, _ = table(home)
    address = routes.find(STAGING, MAILS)
    folder = home.serving / "routes" / "staging"
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("no folder")
    assert routes.again(address) == address
