"""What a version answered on its test split: a file with the run that made it, compared before a promotion.

One row for each test row: `id`, `group` (its cluster of copies), `label` (the true class as a number), and
`probability_<number>` for each class. The threshold stands in the file's own metadata; empty means none.
"""

from typing import Final

FOLDER: Final = "evaluation"
"""Of the tracked run's artifacts."""
FILE: Final = "predictions.parquet"
ID: Final = "id"
GROUP: Final = "group"
LABEL: Final = "label"
PROBABILITY_PREFIX: Final = "probability_"
THRESHOLD: Final = "threshold"
