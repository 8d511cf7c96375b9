"""The search space as Optuna wants it, and its points as everyone else does."""

import json
from collections.abc import Mapping
from typing import Any

from training.trials import as_json
from training.workload import Choice, Domain, Parameters, Whole

Space = Mapping[str, Domain]


def distributions(space: Space) -> dict[str, Any]:
    """Returns one Optuna distribution for each parameter; the values of a choice stand there as JSON text.

    Optuna keeps a choice by its text, and warns of anything that is not plain: a tuple, for one.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name, domain in space.items():
        if isinstance(domain, Choice):
            found[name] = CategoricalDistribution([_text(value) for value in domain.values])
        elif isinstance(domain, Whole):
            found[name] = IntDistribution(domain.low, domain.high, log=domain.log)
        else:
            found[name] = FloatDistribution(domain.low, domain.high, log=domain.log)
    return found


def encoded(parameters: Parameters, space: Space) -> dict[str, Any]:
    """Returns those of `parameters` that are searched, as Optuna knows them."""
    return {
        name: _text(parameters[name]) if isinstance(domain, Choice) else parameters[name]
        for name, domain in space.items()
    }


def decoded(point: Mapping[str, Any], space: Space, defaults: Parameters) -> dict[str, Any]:
    """Returns the complete parameters of Optuna's `point`: the defaults, with the searched ones replaced."""
    parameters = dict(defaults)
    for name, value in point.items():
        domain = space[name]
        if isinstance(domain, Choice):
            parameters[name] = next(choice for choice in domain.values if _text(choice) == value)
        else:
            parameters[name] = value
    return parameters


def from_json(parameters: Mapping[str, Any], space: Space, defaults: Parameters) -> dict[str, Any]:
    """Returns parameters that went through JSON as they were: tuples are tuples again."""
    known = {name: [value] for name, value in defaults.items()}
    for name, domain in space.items():
        if isinstance(domain, Choice):
            known[name] = [*known.get(name, []), *domain.values]
    return {
        name: next((choice for choice in known.get(name, ()) if _text(choice) == _text(value)), value)
        for name, value in parameters.items()
    }


def _text(value: Any) -> str:
    return json.dumps(as_json({"": value})[""], sort_keys=True)
