"""How every process behaves: settings, errors, logs, metrics, files, progress."""
