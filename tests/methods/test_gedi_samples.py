"""GEDI learns a density: energies of images fall below those of noise, and samples are kept."""

import torch
from torch import nn

from cplearn_solo.methods import Progress, Views, build_method

N = 16


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.ReLU())

    def forward(self, x):
        return self.layers(x)


def make(**kwargs):
    torch.manual_seed(0)
    small = {"proj_hidden_dim": 32, "proj_output_dim": 4, "sgld_steps": 5, "replay_size": 32, "temperature": 1.0}
    return build_method("gedi", 32, batch_size=N, method_kwargs={**small, **kwargs}), Encoder()


def views(encoder, seed):
    """Images whose left half is bright and whose right half is dark, in [0, 2]."""
    generator = torch.Generator().manual_seed(seed)
    images = [torch.rand(N, 3, 4, 4, generator=generator) * 0.2 for _ in range(2)]
    for image in images:
        image[..., :2] += 1.8
    low, high = torch.zeros(1, 3, 1, 1), torch.full((1, 3, 1, 1), 2.0)
    feats = [encoder(image) for image in images]
    return Views(feats, 2, Progress(0, 1, seed, 100), images=images, pixel_range=(low, high), encode=encoder)


def test_images_get_lower_energy_than_noise():
    method, encoder = make()
    optimizer = torch.optim.Adam([*method.parameters(), *encoder.parameters()], lr=1e-3)
    for step in range(100):
        given = views(encoder, step)
        torch.manual_seed(step)
        loss = method.loss(given)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
    method.eval()
    noise = 2 * torch.rand(N, 3, 4, 4)
    energies = [-torch.logsumexp(method(encoder(x)), dim=1).mean().item() for x in (views(encoder, 0).images[0], noise)]
    assert energies[0] < energies[1] - 1


def test_samples_are_kept_and_travel_with_the_state():
    method, encoder = make()
    torch.manual_seed(0)
    method.loss(views(encoder, 0))
    first = method.replay.clone()
    torch.manual_seed(1)
    method.loss(views(encoder, 1))
    changed = (method.replay != first).flatten(1).any(dim=1).sum().item()
    assert changed == N  # one new sample for each image
    assert method.replay.shape == (32, 3, 4, 4)
    other, _ = make()
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.replay, method.replay)
    assert not any(name.endswith("replay") for name, _ in method.named_buffers())


def test_samples_leave_the_range_of_images_unless_they_are_clamped():
    for clamp in (False, True):
        method, encoder = make(sgld_clamp=clamp, sgld_noise=1.0)
        method.loss(views(encoder, 0))
        assert (method.replay.abs().max() <= 1) == clamp


def test_sampling_leaves_statistics_and_gradients_alone():
    method, encoder = make()
    given = views(encoder, 0)
    method.train()
    expected = nn.BatchNorm1d(32)
    for feats in given.feats:
        expected(method.projector.layers[0](feats))
    method.loss(given)
    torch.testing.assert_close(method.projector.layers[1].running_mean, expected.running_mean)
    assert all(p.grad is None for p in method.parameters()) and method.projector.training
