# The gateway with its embedded backend as an AWS Lambda function:
# docker build -f docker/lambda.Dockerfile -t sluice-lambda .
# It holds no bundle: docs/embedded.md builds the image of a model version on top of it.
# The digest is that of python:3.11-slim-bookworm with Python 3.11.16, for all its platforms.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/lambda.txt /build/
# pip stays outside of what is copied on: nothing is installed into a running container.
RUN python -m venv --without-pip /opt/python \
    && python -m pip --python /opt/python/bin/python install --no-cache-dir --require-hashes \
        --only-binary :all: --requirement /build/lambda.txt

FROM ${PYTHON_IMAGE} AS code
COPY contracts /opt/sluice/contracts
COPY kit /opt/sluice/kit
COPY records /opt/sluice/records
COPY feature_repo /opt/sluice/feature_repo
COPY serving /opt/sluice/serving
COPY gateway /opt/sluice/gateway
# The file system of a sandbox is read-only but for /tmp, and start-up should not compile.
RUN python -m compileall -q /opt/sluice

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="sluice-lambda"
COPY --from=packages /opt/python /opt/python
COPY --from=code /opt/sluice /opt/sluice
ENV PATH=/opt/python/bin:${PATH} \
    PYTHONPATH=/opt/sluice \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SLUICE_HOME=/tmp/sluice \
    GATEWAY_BACKEND=embedded
WORKDIR /tmp
# Lambda runs it as a user of its own; elsewhere it needs no more than this one.
USER 1000:1000
# Lambda asks no container for its health: it sees by the answers.
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["gateway.lambda_handler.handler"]
