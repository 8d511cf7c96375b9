"""Ray Serve: a deployment that takes the raw e-mail as the body of a request.

Run as `python -m serving.peers.ray_deployment PORT REPLICAS FOLDER`; SIGTERM ends it and what it started.
"""

import signal
import sys
import threading

if __name__ == "__main__":
    import ray
    from ray import serve
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    from serving.peers.detector import opened

    class Emails:
        """One open graph in each replica."""

        def __init__(self) -> None:
            self._detector = opened()

        async def __call__(self, request: Request) -> JSONResponse:
            """Answers one request."""
            return JSONResponse(self._detector.probabilities([await request.body()])[0])

    port, replicas, folder = sys.argv[1:]
    ray.init(
        num_cpus=2, include_dashboard=False, _temp_dir=folder, object_store_memory=100 << 20,
        log_to_driver=False, configure_logging=False, _node_ip_address="127.0.0.1",
    )  # fmt: skip
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(port)},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    deployment = serve.deployment(max_ongoing_requests=100, ray_actor_options={"num_cpus": 0.5})(Emails)
    serve.run(deployment.options(num_replicas=int(replicas)).bind())
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())  # Ray's own, which aborts, was set by `init`
    told.wait()
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()
