# Triton with one backend: docker build -f docker/triton.Dockerfile -t sluice-triton \
#   --build-arg TRITON_IMAGE=nvcr.io/nvidia/tritonserver:24.10-py3@sha256:DIGEST .
# There is no default: take the digest from NVIDIA's catalogue, where it can be verified. No model is in the
# image; the repository is mounted at /mnt/models.
ARG TRITON_IMAGE

# hadolint ignore=DL3006
FROM ${TRITON_IMAGE}
ARG TRITON_IMAGE
LABEL org.opencontainers.image.title="sluice-triton"
# 24.10 is what exported graphs are held against: IR 10, ai.onnx 21, ai.onnx.ml 4.
RUN case "${TRITON_IMAGE}" in *@sha256:*) ;; *) echo "TRITON_IMAGE has no digest" >&2; exit 1 ;; esac \
    && case "${NVIDIA_TRITON_SERVER_VERSION}" in 24.10*) ;; *) echo "not Triton 24.10" >&2; exit 1 ;; esac \
    && test -f /opt/tritonserver/backends/onnxruntime/libtriton_onnxruntime.so \
    && find /opt/tritonserver/backends -mindepth 1 -maxdepth 1 ! -name onnxruntime -exec rm -rf {} +
WORKDIR /tmp
# The user that the InferenceService names; NVIDIA's image knows it as triton-server.
USER 1000:1000
EXPOSE 8080 9000 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/v2/health/ready', timeout=2)"]
# NVIDIA's entry point stays. The ports are those of KServe's runtime.
CMD ["tritonserver", "--model-repository=/mnt/models", "--http-port=8080", "--grpc-port=9000", \
     "--strict-readiness=true", "--exit-timeout-secs=20"]
