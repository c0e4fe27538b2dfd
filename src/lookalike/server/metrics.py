"""What the service counts and measures, in the text form that Prometheus reads.

No label holds anything that a client has sent: a request counts for its route, not for its address.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from lookalike.collection.info import Info
from lookalike.server.lanes import Lane

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one service."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lookalike_requests", "Requests.", ["route", "method", "status"], registry=self._registry
        )
        self._latency = Histogram(
            "lookalike_request_seconds", "Time of a request.", ["route"], registry=self._registry, buckets=_SECONDS
        )
        self._steps = Histogram(
            "lookalike_step_seconds", "Time of a step.", ["step"], registry=self._registry, buckets=_SECONDS
        )
        self._registry.register(_LaneCollector(tuple(lanes)))

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts a request that has been answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def count_step(self, step: str, seconds: float) -> None:
        """Counts a step of a request: encoding, searching, drawing."""
        self._steps.labels(step).observe(seconds)

    def text(self, info: Info) -> bytes:
        """All metrics, with those of the collection as it is now."""
        return generate_latest(self._registry) + generate_latest(_of_collection(info))


class Steps:
    """The times of the steps of one request.

    Attributes:
        milliseconds: of each step so far, by its name.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._begun = metrics, time.perf_counter()
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def timed(self, step: str, *, since_s: float | None = None) -> Iterator[None]:
        """Measures what is done within, or all since an earlier `time.perf_counter()`: then waiting counts, too."""
        begun = time.perf_counter() if since_s is None else since_s
        try:
            yield
        finally:
            seconds = time.perf_counter() - begun
            self._metrics.count_step(step, seconds)
            self.milliseconds[step] = round(self.milliseconds.get(step, 0) + seconds * 1000, 2)

    def total(self) -> dict[str, float]:
        """The times of the steps, and of all since the beginning, in milliseconds."""
        return {**self.milliseconds, "total": round((time.perf_counter() - self._begun) * 1000, 2)}


class _LaneCollector(Collector):
    """Asks the lanes how full they are when the metrics are read."""

    def __init__(self, lanes: tuple[Lane, ...]) -> None:
        self._lanes = lanes

    def collect(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("lookalike_lane_running", "Work under way.", labels=["lane"])
        waiting = GaugeMetricFamily("lookalike_lane_waiting", "Requests that wait.", labels=["lane"])
        refused = CounterMetricFamily("lookalike_lane_refused", "Requests that were refused.", labels=["lane"])
        for lane in self._lanes:
            running.add_metric([lane.name], lane.running)
            waiting.add_metric([lane.name], lane.waiting)
            refused.add_metric([lane.name], lane.refused)
        yield from (running, waiting, refused)


class _Facts(Collector):
    def __init__(self, facts: Iterable[tuple[str, str, float]]) -> None:
        self._facts = tuple(facts)

    def collect(self) -> Iterator[Metric]:
        for name, what, value in self._facts:
            yield GaugeMetricFamily(name, what, value=value)


def _of_collection(info: Info) -> CollectorRegistry:
    registry = CollectorRegistry()
    generation = 0 if info.generation is None else info.generation
    facts = (
        ("lookalike_images", "Images.", info.images),
        ("lookalike_missing_images", "Images whose files are gone.", info.missing),
        ("lookalike_young_vectors", "Vectors younger than the index.", info.young),
        ("lookalike_index_generation", "The number of the index; 0 is none.", generation),
        ("lookalike_collection_bytes", "Size on the disk.", info.bytes),
    )
    registry.register(_Facts(facts))
    return registry
