"""KFP components and pipelines: local run, compile, submit, schedule."""
