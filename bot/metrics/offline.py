"""One exposition body as a store, for questions without a running server."""

from __future__ import annotations

import numpy as np

from bot.metrics.exposition import parse
from bot.promql.store import SeriesStore
from bot.settings import ScrapeLimits


def store_of(body: bytes, t: float) -> SeriesStore:
    """Every sample counts as taken at t (unix seconds). Raises ExpositionError naming the line."""
    openmetrics = body.rstrip().endswith(b"# EOF")
    samples = parse(body, "application/openmetrics-text" if openmetrics else "text/plain", ScrapeLimits())
    store = SeriesStore(3600.0)
    ids = np.array([store.intern({"__name__": sample.name, **sample.labels}) for sample in samples], dtype=np.intp)
    store.append("file", t, ids, np.array([sample.value for sample in samples], dtype=np.float64))
    return store
