"""The Kubernetes API as deploying uses it: apply, read, delete, and ask a Service through the API server.

Credentials are read by Kubernetes' own client (files, tokens, the sign-in programs of the clouds); the
requests are our own: that client has no server-side apply, and no time limit for all of them. Errors::

    OperationalError
    └── ServingUnreachable   503  no credentials, no answer, or not in time
    CallerError
    └── ClusterRefused       422  the API server said no; with its own reason
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import yaml

from kit.errors import CallerError
from serving.deployers.deployer import ServingUnreachable
from serving.deployers.settings import DeploymentSettings

MANAGER: Final = "sluice"
"""Who owns the fields that we apply."""

_APPLY: Final = "application/apply-patch+yaml"
_LONGEST_REASON: Final = 500
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where a pod finds its own credentials."""


class ClusterRefused(CallerError):
    """The API server said no."""

    status = 422
    code = "cluster_refused"
    title = "The cluster refused"


class Kind(NamedTuple):
    """A kind of resource: where the API server has it."""

    api: str
    plural: str


INFERENCE_SERVICE: Final = Kind("apis/serving.kserve.io/v1beta1", "inferenceservices")
POD: Final = Kind("api/v1", "pods")
EVENT: Final = Kind("api/v1", "events")
SERVICE: Final = Kind("api/v1", "services")


@dataclass(frozen=True)
class Access:
    """Where the API server is, and by what it knows us."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    verify: ssl.SSLContext | bool = True
    answer_seconds: float = 10

    def client(self, path: str = "") -> httpx.Client:
        """Returns a client of everything below `path`; close it."""
        # As kubectl does, it goes through the proxy that the environment names.
        return httpx.Client(
            base_url=f"{self.address.rstrip('/')}/{path}",
            headers=dict(self.headers),
            verify=self.verify,
            timeout=self.answer_seconds,
        )


class Cluster:
    """One namespace of one cluster."""

    def __init__(self, access: Access, namespace: str) -> None:
        self._access = access
        self.namespace = namespace

    def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """Returns a resource, or None if there is none."""
        answer = self._asked("GET", self._path(kind, name))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return self._document(answer, f"{kind.plural}/{name}")

    def list(self, kind: Kind, **query: str) -> list[dict[str, Any]]:
        """Returns the resources of a kind that `query` (labelSelector, fieldSelector, limit) chooses."""
        items: list[dict[str, Any]] = self._document(
            self._asked("GET", self._path(kind), params=query), kind.plural
        )["items"]
        return items

    def apply(self, kind: Kind, manifest: dict[str, Any]) -> dict[str, Any]:
        """Makes a resource be as `manifest` says, and returns it; what others own in it stays.

        Raises:
            ClusterRefused: it is invalid, or we may not; nothing changed.
        """
        name = manifest["metadata"]["name"]
        answer = self._asked(
            "PATCH",
            self._path(kind, name),
            params={"fieldManager": MANAGER, "force": "true"},
            content=json.dumps(manifest),  # JSON is YAML
            headers={"Content-Type": _APPLY},
        )
        return self._document(answer, f"{kind.plural}/{name}")

    def delete(self, kind: Kind, name: str) -> None:
        """Deletes a resource; gone already is fine."""
        answer = self._asked("DELETE", self._path(kind, name), params={"propagationPolicy": "Foreground"})
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._document(answer, f"{kind.plural}/{name}")

    def through(self, service: str, port: int) -> httpx.Client:
        """Returns a client that asks a Service of the namespace through the API server; close it."""
        return self._access.client(f"{self._path(SERVICE, f'{service}:{port}')}/proxy")

    def _path(self, kind: Kind, name: str | None = None) -> str:
        path = f"{kind.api}/namespaces/{self.namespace}/{kind.plural}"
        return path if name is None else f"{path}/{name}"

    def _asked(self, method: str, path: str, **how: Any) -> httpx.Response:
        host = httpx.URL(self._access.address).host
        try:
            # A connection for each request: they are few, and seconds apart.
            with self._access.client() as client:
                return client.request(method, path, **how)
        except httpx.TimeoutException as exc:
            raise ServingUnreachable(
                f"The cluster at {host} did not answer in time.",
                next_step="Try again; DEPLOYMENT_ANSWER_SECONDS is the limit.",
            ) from exc
        except (httpx.HTTPError, ssl.SSLError) as exc:
            raise ServingUnreachable(
                f"The cluster at {host} cannot be reached ({type(exc).__name__}).",
                next_step="Check the network and the address in the kubeconfig.",
            ) from exc

    def _document(self, answer: httpx.Response, what: str) -> dict[str, Any]:
        if answer.is_success:
            found: dict[str, Any] = answer.json()
            return found
        reason = _reason(answer)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise ServingUnreachable(
                "The cluster does not accept these credentials.",
                next_step="Sign in again, or name another context: DEPLOYMENT_CONTEXT.",
            )
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise ClusterRefused(
                f"These credentials may not use {what} in the namespace {self.namespace}: {reason}",
                next_step="Ask for the role that docs/promotion.md lists.",
            )
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise ClusterRefused(
                f"The cluster knows no {what}: {reason}",
                next_step="Install KServe, or correct DEPLOYMENT_NAMESPACE.",
            )
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or (
            answer.status_code == httpx.codes.TOO_MANY_REQUESTS
        ):
            raise ServingUnreachable(f"The cluster failed over {what} ({answer.status_code}): {reason}")
        raise ClusterRefused(f"The cluster refused {what} ({answer.status_code}): {reason}")


def opened(settings: DeploymentSettings) -> Cluster:
    """Returns the namespace that `settings` name; nothing is asked of it yet.

    Raises:
        ServingUnreachable: there are no credentials, or they cannot be read.
    """
    return Cluster(_access(settings), settings.namespace)


def _access(settings: DeploymentSettings) -> Access:
    from kubernetes import client, config
    from kubernetes.config import ConfigException

    found = client.Configuration()
    try:
        if settings.kubeconfig is None and settings.context is None and SERVICE_ACCOUNT.exists():
            config.load_incluster_config(client_configuration=found)
        else:
            file = None if settings.kubeconfig is None else str(settings.kubeconfig.expanduser())
            config.load_kube_config(file, settings.context, client_configuration=found, persist_config=False)
        # The client says nothing when a sign-in program fails: the credentials are only absent then.
        token = found.get_api_key_with_prefix("authorization")
        context = ssl.create_default_context(cafile=found.ssl_ca_cert)
        if not found.verify_ssl:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if found.cert_file:
            context.load_cert_chain(found.cert_file, found.key_file)
    except (ConfigException, OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as exc:
        raise ServingUnreachable(
            "There are no credentials for a cluster that can be read.",
            next_step="Sign in to it, or name the file: DEPLOYMENT_KUBECONFIG; and DEPLOYMENT_CONTEXT.",
        ) from exc
    headers = {"Authorization": token} if token else {}
    return Access(found.host, headers, context, settings.answer_seconds)


def _reason(answer: httpx.Response) -> str:
    """Returns what the API server says, in one line."""
    try:
        said = answer.json().get("message", "")
    except (ValueError, AttributeError):
        said = ""
    told = " ".join(str(said).split())[:_LONGEST_REASON]
    return told or f"HTTP {answer.status_code} without a reason."
