"""`sluice up`: everything that serves on this machine, brought to what the aliases of the registry say.

For each environment: Triton, each model whose alias points at a version, a transformer where the model has
one; before them all the gateway, beside them the monitoring process and MLflow's pages. What fails is told
and does not keep the rest from running. Run again, it changes only what is not as it should be.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from contracts.environments import Environment
from kit.errors import SluiceError
from kit.files import locked
from kit.home import Home
from records import model_registry
from records.bundles import fetched
from records.model_registry import ModelRegistry
from records.model_versions import ModelVersion
from serving.deployers.local import LocalDeployer
from serving.local import door, memory, programs, routing
from serving.local.stack import Stack
from serving.promotion.journal import Journal
from serving.promotion.promotion import recover_all
from serving.promotion.tools import Tools
from serving.settings import ServingSettings
from serving.transformer import MODEL as TRANSFORMED

LOCK: Final = ".up.lock"
_WAIT_SECONDS: Final = 600
_MOVE_SECONDS: Final = 120


@dataclass(frozen=True)
class Problem:
    """Something that does not serve as it should, and why."""

    what: str
    message: str
    next_step: str | None

    @classmethod
    def of(cls, what: str, error: SluiceError) -> "Problem":
        """Returns the problem that `error` is for `what`."""
        reasons = " ".join(getattr(error, "reasons", ()))
        return cls(what, f"{error.message} {reasons}".rstrip(), error.next_step)


@dataclass
class Outcome:
    """What `sluice up` could not do, and what it has to say."""

    problems: list[Problem] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


Told = Callable[[str, float], None]
"""Called when something is ready: what, and after how many seconds."""


def silent(_what: str, _seconds: float) -> None:
    """Tells nobody."""


def up(home: Home, environments: Sequence[Environment], *, told: Told = silent) -> Outcome:
    """Brings `environments` of this machine to what the registry says; another one at it is waited for.

    Raises:
        RegistryUnavailable: the registry does not answer, so nobody knows what is to serve.
        SupervisorFailed: the process manager does not come up.
        FolderUnusable: SLUICE_HOME has a name that cannot be used.
        Locked: another `sluice up` has been under way for ten minutes.
    """
    with locked(home.serving / LOCK, what="sluice up", timeout_seconds=_WAIT_SECONDS):
        settings = ServingSettings.load()
        registry = model_registry.opened(home)
        run = _Run(home, registry, Stack(home, settings), told)
        run.start(environments)
        if settings.gateway or settings.monitoring:
            run.begin_records()
        if settings.gateway:
            run.begin_gateway()
        pages = settings.mlflow_pages and registry.uri.startswith("sqlite:")
        if pages:
            run.begin_mlflow()
        for environment in environments:
            run.environment(environment)
        run.records()
        if settings.monitoring:
            run.begin_monitoring()
        if pages:
            run.mlflow()
        if settings.gateway:
            run.gateway()
        if settings.monitoring:
            run.monitoring()
        return run.outcome


class _Run:
    def __init__(self, home: Home, registry: ModelRegistry, stack: Stack, told: Told) -> None:
        self._home = home
        self._registry = registry
        self._stack = stack
        self._told = told
        self._deployer = LocalDeployer(stack)
        self._mlflow_begun: float | None = None
        self._gateway_begun: float | None = None
        self._monitoring_begun: float | None = None
        self._beside = ThreadPoolExecutor(1)
        self._tables: Future[None] | None = None
        self._served: set[Environment] = set()
        self.outcome = Outcome()

    def start(self, environments: Sequence[Environment]) -> None:
        """Starts the process manager, and ends promotions that a crash left behind."""
        with self._timed("process manager"):
            self._stack.start()
            self._stack.want(environments)
        with self._survived("promotions"):
            self.outcome.hints += recover_all(Tools(self._home, self._registry, self._deployer))

    def environment(self, environment: Environment) -> None:
        """Brings one environment to what its aliases say."""
        pointed = [self._registry.pointed(name, environment) for name in self._registry.names()]
        wanted = [version for version in pointed if version is not None]
        self._remove_others({version.name for version in wanted}, environment)
        if not wanted:
            self.outcome.hints.append(_how_to_get_one(environment))
            self._stack.drop(programs.triton_name(environment))
            return
        name = programs.triton_name(environment)
        with self._survived(name):
            with self._timed(name):
                self._stack.triton(environment)
            for version in wanted:
                what = f"{version.name} version {version.version} in {environment}"
                with self._survived(what), self._timed(what):
                    self._serve(version, environment)

    def begin_records(self) -> None:
        """Begins to bring the tables of the records up to date, beside all the rest."""
        self._tables = self._beside.submit(memory.ensure, self._home)

    def records(self) -> None:
        """Waits for the tables, if they were begun."""
        with self._survived("records"):
            if self._tables is not None:
                self._tables.result()
        self._beside.shutdown()

    def begin_gateway(self) -> None:
        """Starts the gateway, to come up beside all the rest."""
        with self._survived(programs.GATEWAY):
            self._gateway_begun = time.monotonic()
            self._stack.begin_gateway()

    def gateway(self) -> None:
        """Waits for the gateway, and until it answers for what was brought up."""
        if self._gateway_begun is None:
            return
        with self._survived(programs.GATEWAY):
            url = self._stack.gateway()
            seconds = self._stack.settings.program_start_seconds
            for environment in door.unanswered(url, self._served, seconds):
                problem = f"It does not answer for {environment}, where a model serves."
                next_step = f"sluice logs {programs.GATEWAY}"
                self.outcome.problems.append(Problem(programs.GATEWAY, problem, next_step))
            self._told(programs.GATEWAY, time.monotonic() - self._gateway_begun)

    def begin_monitoring(self) -> None:
        """Starts the monitoring process, to come up beside what is waited for."""
        with self._survived(programs.MONITORING):
            self._monitoring_begun = time.monotonic()
            self._stack.begin_monitoring()

    def monitoring(self) -> None:
        """Waits for the monitoring process, if it was begun."""
        if self._monitoring_begun is None:
            return
        with self._survived(programs.MONITORING):
            self._stack.monitoring()
            self._told(programs.MONITORING, time.monotonic() - self._monitoring_begun)

    def begin_mlflow(self) -> None:
        """Starts MLflow's pages, which need nobody and take longest, to come up beside all the rest."""
        with self._survived(programs.MLFLOW):
            started = time.monotonic()
            self._stack.begin_mlflow(self._registry.uri)
            self._mlflow_begun = started

    def mlflow(self) -> None:
        """Waits for MLflow's pages, if they were begun."""
        if self._mlflow_begun is None:
            return
        with self._survived(programs.MLFLOW):
            self._stack.mlflow()
            self._told(programs.MLFLOW, time.monotonic() - self._mlflow_begun)

    def _serve(self, wanted: ModelVersion, environment: Environment) -> None:
        model, version = wanted.name, wanted.version
        deployer = self._deployer
        with Journal(self._home, model, environment).held(wait_seconds=_MOVE_SECONDS):
            bundle = fetched(self._registry, self._home, model, version)
            deployer.prepare(model, environment, version, bundle)
            try:
                if deployer.current(model, environment) != version:
                    deployer.verify(model, environment, version, bundle)
                deployer.switch(model, environment, version, bundle)
            except SluiceError:
                if deployer.current(model, environment) != version:
                    deployer.abandon(model, environment, version)
                raise
            for other in sorted(deployer.loaded(model, environment) - {version}):
                deployer.retire(model, environment, other)
        if model == TRANSFORMED:
            self._stack.transformer(environment, model)
        self._served.add(environment)

    def _remove_others(self, wanted: set[str], environment: Environment) -> None:
        """Takes away models whose alias is gone."""
        for route in routing.routes(self._home):
            if route.environment is environment and route.model not in wanted:
                with self._survived(f"{route.model} in {environment}"):
                    self._deployer.remove(route.model, environment)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._told(what, time.monotonic() - started)

    @contextmanager
    def _survived(self, what: str) -> Iterator[None]:
        """Keeps an error of the block for the end: the rest is to run."""
        try:
            yield
        except SluiceError as error:
            self.outcome.problems.append(Problem.of(what, error))


def _how_to_get_one(environment: Environment) -> str:
    if environment is Environment.STAGING:
        return "No model is in staging. Train one: sluice pipeline run; it puts what the gate accepts there."
    return (
        f"No model is in {environment}. See what there is: sluice model list; then: "
        f"sluice model promote VERSION --to {environment} --reason …"
    )
