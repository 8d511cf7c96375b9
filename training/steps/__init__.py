"""The steps of the training pipeline: one module and one `Step` each; folders in, a folder out.

In order: load, validate, features, search, fit, evaluate, export, register, gate, stage. A step knows nothing
of who runs it; `training.steps.step` says what it is given, and `training.steps.outputs` how what it wrote is
recognised by its content.
"""
