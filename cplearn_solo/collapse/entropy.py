"""The entropy of a diagonal Gaussian mixture over its number of components (CPLearn, Figs. 6b, 13b and 15)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cplearn_solo.collapse.protocols import Protocol
from cplearn_solo.core.errors import InputError

# The paper fits 1000 components to 10,000 images. A component with far fewer samples has a variance due to chance.
SAMPLES_A_COMPONENT = 5


@dataclass(frozen=True)
class Entropy:
    """Entropy in nats for a number of components; ``None`` with a ``reason`` if there is none."""

    components: int
    nats: float | None
    reason: str = ""


def mixture_entropy(features: Tensor, components: int, protocol: Protocol, *, seed: int) -> Entropy:
    """The protocol's entropy of features ``(n, d)``, if there are at least five samples for each component."""
    least = SAMPLES_A_COMPONENT * components
    if len(features) < least:
        return Entropy(
            components, None, f"{len(features):,} samples are too few for {components} components: at least {least:,}"
        )
    try:
        return Entropy(components, protocol.entropy(features, components, seed=seed))
    except InputError as error:
        return Entropy(components, None, str(error))
