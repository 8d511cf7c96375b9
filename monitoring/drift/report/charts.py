"""Charts of columns by Evidently: the only module that imports it.

Only what describes the columns is asked for. Evidently's own tests and its share of drifted columns are left
out: a page has one verdict, and it is ours.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from monitoring.drift.columns import Column, Sample

_SEED: Final = 7


def charts(reference: Sample, current: Sample, names: Sequence[str], *, rows: int) -> str:
    """Returns a whole HTML document with statistics and charts of the columns `names`, in that order.

    It brings its scripts, styles and fonts with it and asks no address for anything. Of each sample at most
    `rows` random rows are drawn; the same samples give the same charts.
    """
    with warnings.catch_warnings():
        # At its import Evidently 0.7 reaches for numpy.core, which numpy 2 has moved, and while it draws it
        # divides by spreads of nothing: neither changes what is drawn, and neither is ours to mend.
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import ValueStats

        columns = {column.name: column for column in reference.columns}
        definition = DataDefinition(
            numerical_columns=[name for name in names if columns[name].ordered],
            categorical_columns=[name for name in names if not columns[name].ordered],
        )
        asked, known = (
            Dataset.from_pandas(_frame(sample, names, rows), data_definition=definition)
            for sample in (current, reference)
        )
        drawn = Report([ValueStats(column=name) for name in names], include_tests=False).run(asked, known)
        return str(drawn.get_html_str(as_iframe=False))


def _frame(sample: Sample, names: Sequence[str], rows: int) -> Any:
    import pandas as pd

    if len(sample) > rows:
        sample = sample.take(np.random.default_rng(_SEED).choice(len(sample), rows, replace=False))
    places = {column.name: at for at, column in enumerate(sample.columns)}
    rows_of = sample.values  # noqa: PD011 - not a frame's
    return pd.DataFrame(
        {name: _values(sample.columns[places[name]], rows_of[:, places[name]]) for name in names}
    )


def _values(column: Column, values: Any) -> Any:
    if column.ordered:
        return values.astype(np.float64)
    return np.array(column.categories, dtype=object)[values.astype(np.int64)]
