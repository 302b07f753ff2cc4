"""BentoML with its adaptive batching."""

import bentoml
import numpy as np
from model import predict


@bentoml.service(workers=1, traffic={"timeout": 30})
class Model:
    @bentoml.api(batchable=True, max_batch_size=128, max_latency_ms=1000, route="/predict")
    def predict(self, x: np.ndarray) -> np.ndarray:
        return predict(np.asarray(x, np.float32))
