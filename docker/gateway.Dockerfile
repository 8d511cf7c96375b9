# The gateway in front of model servers: docker build -f docker/gateway.Dockerfile -t sluice-gateway .
# The digest is that of python:3.11-slim-bookworm with Python 3.11.16, for all its platforms.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/gateway.txt /build/
# pip stays outside of what is copied on: nothing is installed into a running container.
RUN python -m venv --without-pip /opt/python \
    && python -m pip --python /opt/python/bin/python install --no-cache-dir --require-hashes \
        --only-binary :all: --requirement /build/gateway.txt

FROM ${PYTHON_IMAGE} AS code
COPY contracts /opt/sluice/contracts
COPY kit /opt/sluice/kit
COPY records /opt/sluice/records
COPY gateway /opt/sluice/gateway
# The file system may be read-only later, and start-up should not compile.
RUN python -m compileall -q /opt/sluice

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="sluice-gateway"
COPY --from=packages /opt/python /opt/python
COPY --from=code /opt/sluice /opt/sluice
ENV PATH=/opt/python/bin:${PATH} \
    PYTHONPATH=/opt/sluice \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SLUICE_HOME=/tmp/sluice \
    GATEWAY_HOST=0.0.0.0 \
    GATEWAY_PORT=8080
WORKDIR /tmp
# By number, which is what Kubernetes can check.
USER 1000:1000
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['GATEWAY_PORT']}/health/live\", timeout=2)"]
ENTRYPOINT ["python", "-m", "gateway"]
