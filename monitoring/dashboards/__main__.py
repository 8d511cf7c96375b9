"""`python -m monitoring.dashboards`: writes every dashboard beside this file."""

from monitoring.dashboards.files import FOLDER, texts

if __name__ == "__main__":
    from kit.files import write_text

    for name, text in texts().items():
        write_text(FOLDER / name, text)
