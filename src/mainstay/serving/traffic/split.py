"""A split of traffic: one of several versions for each request, by their weights, the same one for each client."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate

from mainstay.serving.models.snapshot import Servable, Snapshot, State
from mainstay.serving.traffic.config import Target

_MOST_KNOWN_CLIENTS = 1 << 14
_MOST_KNOWN_BYTES = 128
_HASH_BITS = 52  # so that neither 0 nor 1 can come out: their logarithms are of no use


def resolve(target: Target, model: str, snapshot: Snapshot) -> Servable | None:
    """Return the version that a number or label stands for, where it is there and AVAILABLE."""
    version = target if isinstance(target, int) else snapshot.labels.get(model, {}).get(target)
    if version is None:
        return None
    status = snapshot.statuses.get(model, {}).get(version)
    if status is not None and status.state is not State.AVAILABLE:
        return None
    return snapshot.servables.get(model, {}).get(version)


class Split:
    """The versions of one model that share its requests, as a snapshot has them.

    A client is given to the version with the largest ``-weight / ln(hash(client, version))``: weighted rendezvous
    hashing (Thaler and Ravishankar 1998). Each version gets its share, every process decides alike, and where
    weights change or a version goes, no client moves but those whose share has moved.

    Args:
        shares: The versions with the names under which they were configured and their weights, all above 0.
        random: Gives numbers from 0 to below 1, for requests without a client's key.
    """

    __slots__ = ("_bounds", "_known", "_random", "_servables", "_shares")

    def __init__(self, shares: Sequence[tuple[Target, float, Servable]], random: Callable[[], float]) -> None:
        self._shares = [(str(target).encode(), weight) for target, weight, _ in shares]
        self._servables = [servable for _, _, servable in shares]
        total = math.fsum(weight for _, weight, _ in shares)
        # The last bound is left out: whatever lies above the others belongs to the last version.
        self._bounds = [bound / total for bound in accumulate(weight for _, weight, _ in shares)][:-1]
        self._random = random
        self._known: dict[bytes, Servable] = {}

    @classmethod
    def of(
        cls, model: str, weights: Mapping[Target, float], snapshot: Snapshot, random: Callable[[], float]
    ) -> Split | None:
        """Return the split over those of the versions that are AVAILABLE; None where none of them is."""
        found = [(target, weight, resolve(target, model, snapshot)) for target, weight in weights.items() if weight > 0]
        shares = [(target, weight, servable) for target, weight, servable in found if servable is not None]
        return cls(shares, random) if shares else None

    def choose(self, client: bytes | None) -> Servable:
        """Return the version for a client; for one without a key, any of them by their weights."""
        if client is None:
            return self._servables[bisect(self._bounds, self._random())]
        if len(client) > _MOST_KNOWN_BYTES:
            return self._of(client)  # clients choose their keys, and shall not fill the memory with them
        servable = self._known.get(client)
        if servable is None:
            if len(self._known) >= _MOST_KNOWN_CLIENTS:
                self._known.clear()
            servable = self._known[client] = self._of(client)
        return servable

    def _of(self, client: bytes) -> Servable:
        if len(self._servables) == 1:
            return self._servables[0]
        scores = [_score(client, name, weight) for name, weight in self._shares]
        return self._servables[scores.index(max(scores))]


def _score(client: bytes, name: bytes, weight: float) -> float:
    digest = blake2b(client, digest_size=8, key=blake2b(name, digest_size=32).digest()).digest()
    number = (int.from_bytes(digest, "big") >> (64 - _HASH_BITS)) + 0.5
    return -weight / math.log(number / 2**_HASH_BITS)
