"""CPLearn: a frozen random dictionary of codes makes collapse unprofitable (Sansone et al., ICML 2025).

Features Z ``(n, d)`` become embeddings H ``(n, f)`` by a linear layer, BatchNorm and an activation; the softmax of
H W / tau over the c frozen codes of W in {-1, +1}^(f x c) assigns each sample to a code. The loss asks for the same
assignment of two views and for a batch that spreads over all codes. There is no predictor, teacher, stop-gradient or
queue.

    H = sqrt(f/n) h / ||h||,   p = softmax(H W / tau)
    L = beta CE(p, p') + KL(mean_i p_i || q)
    tau = f / (sqrt(n) log((1 - eps (c - 1)) / eps))

h are the outputs of BatchNorm, p and p' the assignments of two views, and q is the prior, uniform by default. The loss
is the mean of both directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cplearn_solo.core.distributed import world_size
from cplearn_solo.core.errors import keys_named, require
from cplearn_solo.core.precision import at_least_float32
from cplearn_solo.dictionary import check_dictionary, pack_dictionary, temperature
from cplearn_solo.losses import assignments, cplearn_loss, strict_bound, strict_bound_of
from cplearn_solo.methods.auto_beta import AutoBeta
from cplearn_solo.methods.base import METHODS, Method, Progress, ReportMeasure, Views
from cplearn_solo.methods.code_prior import LearnedPrior, fixed_prior
from cplearn_solo.methods.cplearn_advice import ADVICE
from cplearn_solo.methods.optimum import optimum_measures
from cplearn_solo.objective import Objective, PackedDictionary, check_shares, objective
from cplearn_solo.objective.interface import check_impl, check_impl_on
from cplearn_solo.objective.streamed import StreamedLogits

# Number of floats in W and in the logits that automatic differentiation keeps, about 16 matrices (n, c). Up to this
# number, they fit into a processor's caches, and W as a matrix of floats is faster; above it, the packed dictionary is
# faster.
_DENSE_FLOATS = 1 << 22

# Names in errors of dictionary functions, and the keys of this method that they stand for.
_KEYS = {
    "f": "proj_hidden_dim",
    "c": "proj_output_dim",
    "dictionary seed": "dictionary_seed",
    "f, c of a hadamard dictionary": "method_kwargs.proj_hidden_dim, method_kwargs.proj_output_dim",
}


@dataclass(frozen=True)
class Constants:
    """Values that depend on n: tau, the divisor of embeddings (sqrt(n) or 1), and the strict bound of the loss for a
    prior that is not learned."""

    temperature: float
    root_n: float
    bound: float


@METHODS.register("cplearn")
class CPLearn(Method):
    """CPLearn's projector and loss (Eqs. 1 and 2, Appendix N).

    ``proj_hidden_dim``: f. ``proj_output_dim``: c, codes in the dictionary. ``beta``: weight of the invariance term, or
    ``auto``: 1, and lower while codes are being lost (:class:`AutoBeta`; needs the uniform prior). ``eps``: target
    probability of the codes a sample is not assigned to; below 1/c. ``activation``: ``l2``, sqrt(f/n) h/||h|| (Eq. 1),
    or ``tanh``, the paper's practical choice (Section 3.3). ``scale``: ``paper`` divides by sqrt(n) as in Eq. 1;
    ``released`` does not, like the released code, so logits are sqrt(n) times larger. ``prior``: q, which is
    ``uniform`` (the default), ``power_law`` with exponent ``prior_power`` (by default 1), ``learned``
    (:class:`LearnedPrior`), or a list of one number per code, not normalised. ``prior_loss``: ``forward`` (Eq. 2) or
    ``reverse`` (Appendix N). ``dictionary``, ``dictionary_seed``: see :func:`make_dictionary`. ``linear_bn``: whether
    there are a linear layer and BatchNorm; without them f is d, and nothing controls the scale of features (Fig. 7).

    With several devices, each has its own loss. With ``global_prior``, the mean assignment of all devices is matched
    with the prior, and n is the batch of all devices. With ``dictionary_parallel``, devices divide the work by codes,
    not by images.

    The dictionary is stored at one bit per entry. ``impl``: how the loss is computed, see :func:`objective`; ``auto``
    holds a small dictionary as a matrix of floats, but never a large one. ``kept_logits_mb``: megabytes of logits that
    a step with a large one keeps. A checkpoint holds the dictionary's kind, seed and shape, not its entries.
    """

    multicrop = True
    capturable = True
    advice = ADVICE

    def __init__(
        self,
        features_dim: int,
        *,
        batch_size: int,
        proj_hidden_dim: int = 128,
        proj_output_dim: int = 1024,
        beta: float | Literal["auto"] = 1.0,
        eps: float = 1e-8,
        activation: Literal["l2", "tanh"] = "l2",
        scale: Literal["paper", "released"] = "paper",
        prior: Literal["uniform", "power_law", "learned"] | list[float] | None = None,
        prior_power: float | None = None,
        prior_loss: Literal["reverse", "forward"] = "reverse",
        dictionary: Literal["rademacher", "hadamard"] = "rademacher",
        dictionary_seed: int = 0,
        linear_bn: bool = True,
        global_prior: bool = False,
        dictionary_parallel: bool = False,
        kept_logits_mb: float | None = None,
        impl: Literal["auto", "reference", "chunked", "lookup", "triton"] = "auto",
    ) -> None:
        super().__init__(features_dim, batch_size=batch_size)
        f, c = proj_hidden_dim, proj_output_dim
        with keys_named(_KEYS):
            check_dictionary(f, c, kind=dictionary, seed=dictionary_seed)
        wanted = f"{features_dim}, the width of the features, with linear_bn=false"
        require(linear_bn or f == features_dim, "method_kwargs.proj_hidden_dim", f, wanted)
        require(beta == "auto" or beta >= 0, "method_kwargs.beta", beta, "at least 0, or auto")
        possible = beta != "auto" or (prior in (None, "uniform") and min(batch_size, c) >= 2)
        require(possible, "method_kwargs.beta", beta, "a number, unless the prior is uniform over at least 2 codes")
        possible = kept_logits_mb is None or kept_logits_mb >= 0
        require(possible, "method_kwargs.kept_logits_mb", kept_logits_mb, "at least 0")
        self.auto_beta = AutoBeta(batch_size, c) if beta == "auto" else None
        self.beta, self.activation, self.scale, self.prior_loss = beta, activation, scale, prior_loss
        self.spec = {"kind": dictionary, "seed": dictionary_seed, "f": f, "c": c}
        self.eps, self.batch_size, self.kept_logits_mb, self.impl = eps, batch_size, kept_logits_mb, impl
        self.global_prior, self.dictionary_parallel = global_prior, dictionary_parallel
        self.loss_scope = "global" if global_prior else "device"
        self.projector = nn.Sequential(*([nn.Linear(features_dim, f), nn.BatchNorm1d(f)] if linear_bn else []))
        packed = pack_dictionary(f, c, kind=dictionary, seed=dictionary_seed)
        self.register_buffer("packed_dictionary", packed, persistent=False)
        several_ranks = global_prior or dictionary_parallel
        check_impl(impl, several_ranks=several_ranks)
        self.dense = impl == "auto" and not several_ranks and (f + 16 * batch_size) * c <= _DENSE_FLOATS
        self.register_buffer("w", self.dictionary.tile(0, c) if self.dense else None, persistent=False)
        q = fixed_prior(prior, c, power=prior_power, prior_loss=prior_loss)
        self.register_buffer("fixed_prior", q, persistent=False)
        self.learned_prior = LearnedPrior(c, batch_size) if prior == "learned" else None
        # The n that the weights were trained with. It is not the size of the current batch, since codes would then
        # depend on the batch size of an evaluation.
        self.register_buffer("n", torch.tensor(batch_size))
        self._n = batch_size  # the same as a Python number, which needs no waiting for a GPU
        self._constants: dict[int, Constants] = {}
        self.constants(batch_size)  # raises for a bad eps

    def check_ranks(self, ranks: int) -> None:
        if self.dictionary_parallel:
            with keys_named(_KEYS):
                check_shares(self.codes_total, ranks)

    def check_device(self, device: torch.device) -> None:
        check_impl_on(self.impl, device)

    @property
    def codes_total(self) -> int:
        return self.spec["c"]

    @property
    def temperature(self) -> float:
        """tau for the n that the weights were trained with."""
        return self.constants(self._n).temperature

    @property
    def prior(self) -> Tensor | None:
        """q ``(c,)`` as it is now; ``None`` is uniform."""
        return self.learned_prior() if self.learned_prior else self.fixed_prior

    @property
    def bound(self) -> float:
        """The strict bound of the loss for the n that the weights were trained with; for beta ``auto``, of beta = 1."""
        return float(self._bound(self.prior, self._n))

    def constants(self, n: int) -> Constants:
        """Values that depend on n, the number of samples whose mean assignment is matched with the prior."""
        if n not in self._constants:
            f, c = self.spec["f"], self.spec["c"]
            beta = 1.0 if self.auto_beta else self.beta
            self._constants[n] = Constants(
                temperature=temperature(f, n, c, self.eps),
                root_n=math.sqrt(n) if self.scale == "paper" else 1.0,
                bound=strict_bound(n, c, beta=beta, prior=self.fixed_prior, prior_loss=self.prior_loss),
            )
        return self._constants[n]

    def _bound(self, q: Tensor | None, n: int) -> float | Tensor:
        """The strict bound for the prior q; for a learned prior a tensor, so that nothing waits for a GPU."""
        if not self.learned_prior:
            return self.constants(n).bound
        return strict_bound_of(q, n, beta=self.beta, prior_loss=self.prior_loss).to(q)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Mean over pairs of crops with at least one large crop.

        Also logged: ``bound_gap``, the distance to the strict bound; for the first view, ``assignment_entropy``, the
        mean entropy of p, and ``mean_entropy``, the entropy of the mean p (their difference is the mutual information
        of sample and code); ``beta`` if it is ``auto``; and ``prior_entropy``, the entropy of a learned prior.
        """
        n = self.batch_size * (world_size() if self.global_prior else 1)
        if n != self._n:
            self._n = n
            self.n.fill_(n)
        constants = self.constants(n)
        embeddings = [self._embed(feats, constants.root_n) for feats in views.feats]
        pairs = [pair for pair in combinations(range(len(embeddings)), 2) if pair[0] < views.n_large]
        beta = self.auto_beta(n) if self.auto_beta else self.beta
        compute, q = self._dense_objective if self.dense else self._packed_objective, self.prior
        found = compute(embeddings, pairs, beta, q, constants.temperature)
        bound = self._bound(q, n)
        if self.auto_beta and self.prior_loss == "reverse":
            bound = bound * beta
        parts = {
            "loss": found.loss,
            "invariance": found.invariance,
            "prior": found.prior,
            "bound_gap": found.loss.detach() - bound,
            "assignment_entropy": found.assignment_entropy,
            "mean_entropy": found.mean_entropy,
        }
        if self.auto_beta:
            parts["beta"] = beta
            self.auto_beta.update(found.mean_entropy)
        if self.learned_prior:
            parts["prior_entropy"] = torch.special.entr(q).sum()
            self.learned_prior.see(found.mean_assignment)
        return {**parts, "codes": found.codes}

    def after_backward(self, progress: Progress) -> None:
        if self.learned_prior:
            self.learned_prior.update()

    def embed(self, feats: Tensor) -> Tensor:
        """Embeddings H ``(n, f)`` (Eq. 1), in float32 or better."""
        return self._embed(feats, self.constants(self._n).root_n)

    def report_measures(self) -> list[ReportMeasure]:
        return optimum_measures(self.dictionary, self.constants(self._n).root_n)

    @property
    def dictionary(self) -> PackedDictionary:
        """W at one bit per entry."""
        return PackedDictionary(self.packed_dictionary, self.spec["f"])

    def logits(self, h: Tensor) -> Tensor:
        """H W / tau: ``(n, f)`` to ``(n, c)``."""
        if self.w is None:
            return torch.cat([logits for _, logits in self._streamed(h).blocks()], dim=1)
        return h @ self.w.to(h.dtype) / self.temperature

    def assign(self, feats: Tensor) -> Tensor:
        """Most likely code of each sample; streams over codes, so that memory does not grow with c."""
        return self._streamed(self.embed(feats)).largest()[0]

    def assign_with_confidence(self, feats: Tensor) -> tuple[Tensor, Tensor]:
        """Most likely code of each sample and its probability; streams over codes."""
        code, logit, log_sum = self._streamed(self.embed(feats)).largest()
        return code, (logit - log_sum).exp()

    def code_entropies(self, feats: Tensor) -> tuple[Tensor, Tensor]:
        """H(mean_i p_i) and mean_i H(p_i); streams over codes."""
        return self._streamed(self.embed(feats)).entropies()

    def forward(self, feats: Tensor) -> Tensor:
        """Logits ``(n, c)``."""
        return self.logits(self.embed(feats))

    def _streamed(self, h: Tensor) -> StreamedLogits:
        return StreamedLogits(h, self.dictionary, self.temperature)

    def _embed(self, feats: Tensor, root_n: float) -> Tensor:
        h = at_least_float32(self.projector(feats))
        h = math.sqrt(h.shape[1]) * F.normalize(h, dim=1) if self.activation == "l2" else torch.tanh(h)
        return h / root_n

    def _packed_objective(
        self, embeddings: list[Tensor], pairs: list[tuple[int, int]], beta: float | Tensor, q: Tensor | None, tau: float
    ) -> Objective:
        return objective(
            embeddings,
            self.dictionary,
            temperature=tau,
            beta=beta,
            prior=q,
            prior_loss=self.prior_loss,
            prior_is_checked=True,
            pairs=pairs,
            dictionary_parallel=self.dictionary_parallel,
            global_prior=self.global_prior,
            kept_logits_mb=self.kept_logits_mb,
            impl=self.impl,
        )

    def _dense_objective(
        self, embeddings: list[Tensor], pairs: list[tuple[int, int]], beta: float | Tensor, q: Tensor | None, tau: float
    ) -> Objective:
        """``_packed_objective`` with all of W and all logits in memory."""
        logits = [h @ self.w.to(h.dtype) / tau for h in embeddings]
        given = {"beta": beta, "prior": q, "prior_loss": self.prior_loss, "prior_is_checked": True}
        losses = [cplearn_loss(logits[i], logits[j], **given) for i, j in pairs]
        loss, invariance, prior = (torch.stack(part).mean() for part in zip(*losses))
        return Objective(loss, invariance, prior, *assignments(logits[0]))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._n = int(self.n)

    def get_extra_state(self) -> dict[str, Any]:
        return dict(self.spec)

    def set_extra_state(self, state: dict[str, Any]) -> None:
        for key, value in self.spec.items():
            require(
                state.get(key) == value,
                f"dictionary's {key} of this run",
                value,
                f"{state.get(key)!r}, the checkpoint's",
            )
