"""From corpus to registered model: corpus, dataset, search, fit, evaluate, export, registry, gate."""
