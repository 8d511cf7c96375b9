"""The dashboards as files: their names, and what they hold."""

import json
from pathlib import Path
from typing import Final

from monitoring.dashboards.data_quality import data_quality
from monitoring.dashboards.infrastructure import infrastructure
from monitoring.dashboards.model import model
from monitoring.dashboards.overview import overview

FOLDER: Final = Path(__file__).parent


def texts() -> dict[str, str]:
    """Returns the text of every dashboard by the name of its file."""
    pages = {
        "overview": overview(),
        "model": model(),
        "data-quality": data_quality(),
        "infrastructure": infrastructure(),
    }
    return {
        f"{name}.json": json.dumps(page, indent=1, ensure_ascii=False) + "\n" for name, page in pages.items()
    }
