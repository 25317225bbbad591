"""The networks of the package as modules of PyTorch.

Images are `(batch, channels, height, width)`, in the memory format
`channels_last`. Parameters and buffers come in the order of the Keras models.
"""

import torch
from torch import nn
from torch.nn import functional

SLOPE = 0.2


def mlp(weights, statistics):
    layers = []
    for kernel in weights[::2]:
        layers += [nn.Linear(*kernel.shape), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers[:-1])


def _convolution(kernel, bias=False, stride=1):
    size, _, channels, filters = kernel.shape
    padding = (size - stride + 1) // 2
    return nn.Conv2d(channels, filters, size, stride, padding, bias=bias)


class _Maps(nn.Module):
    """Rows of numbers as square feature maps."""

    def __init__(self, maps):
        super().__init__()
        self.maps = maps

    def forward(self, x):
        side = round((x.shape[1] / self.maps) ** 0.5)
        return x.view(-1, side, side, self.maps).permute(0, 3, 1, 2)


class _Rows(nn.Module):
    """Feature maps as rows of numbers."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def dcgan_generator(weights, statistics):
    dense, gamma = weights[:2]
    layers = [nn.Linear(*dense.shape, bias=False), _Maps(len(gamma))]
    for kernel in weights[3::3]:
        size, _, filters, channels = kernel.shape
        layers += [
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, filters, size, 2, 1, bias=False),
        ]
    return nn.Sequential(*layers, nn.Tanh())


def dcgan_discriminator(weights, statistics):
    layers = [_convolution(weights[0], stride=2), nn.LeakyReLU(SLOPE)]
    for kernel in weights[1:-1:3]:
        layers += [
            _convolution(kernel, stride=2),
            nn.BatchNorm2d(kernel.shape[-1]),
            nn.LeakyReLU(SLOPE),
        ]
    dense = nn.Linear(*weights[-1].shape, bias=False)
    return nn.Sequential(*layers, _Rows(), dense)


class _Doubling(nn.Module):
    """The block of the residual generator."""

    def __init__(self, kernels):
        super().__init__()
        first, shortcut, second = kernels
        self.before = nn.BatchNorm2d(first.shape[2])
        self.first = _convolution(first)
        self.between = nn.BatchNorm2d(first.shape[3])
        self.shortcut = _convolution(shortcut)
        self.second = _convolution(second)

    def forward(self, x):
        h = _double(functional.relu(self.before(x)))
        h = functional.relu(self.between(self.first(h)))
        return self.second(h) + _double(self.shortcut(x))


class _Block(nn.Module):
    """The blocks of the residual discriminator."""

    def __init__(self, kernels, halve=True, first=False):
        super().__init__()
        self.halve, self.images = halve, first
        self.first = _convolution(kernels[0], bias=True)
        self.second = _convolution(kernels[1], bias=True)
        if halve:
            self.shortcut = _convolution(kernels[2])

    def forward(self, x):
        h = x if self.images else functional.relu(x)
        h = self.second(functional.relu(self.first(h)))
        if not self.halve:
            return h + x
        half = functional.avg_pool2d
        return half(h, 2) + self.shortcut(half(x, 2))


class _Mean(nn.Module):
    """The mean over all pixels."""

    def forward(self, x):
        return functional.relu(x).mean((2, 3))


def _double(x):
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def resnet_generator(weights, statistics):
    kernels = [w for w in weights if w.ndim == 4]
    maps = kernels[0].shape[2]
    layers = [nn.Linear(*weights[0].shape), _Maps(maps)]
    for i in range(0, len(kernels) - 1, 3):
        layers.append(_Doubling(kernels[i : i + 3]))
    layers += [nn.BatchNorm2d(maps), nn.ReLU()]
    layers += [_convolution(kernels[-1], bias=True), nn.Tanh()]
    return nn.Sequential(*layers)


def resnet_discriminator(weights, statistics):
    kernels = [w for w in weights if w.ndim == 4]
    return nn.Sequential(
        _Block(kernels[:3], first=True),
        _Block(kernels[3:6]),
        _Block(kernels[6:8], halve=False),
        _Block(kernels[8:], halve=False),
        _Mean(),
        nn.Linear(*weights[-2].shape),
    )


#: From Keras's order of axes to torch's, by the number of axes; 2 for dense
#: kernels, and 4 for those of all convolutions.
TO_TORCH = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}
TO_KERAS = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}

NETWORKS = {
    "mlp": (mlp, mlp),
    "dcgan": (dcgan_generator, dcgan_discriminator),
    "resnet": (resnet_generator, resnet_discriminator),
}


def build(function, weights, statistics):
    """A module with the weights of a Keras model."""
    module = function(weights, statistics)
    with torch.no_grad():
        for p, w in zip(module.parameters(), weights, strict=True):
            p.copy_(torch.tensor(w.transpose(TO_TORCH[w.ndim])))
        buffers = [b for b in module.buffers() if b.ndim]
        for b, s in zip(buffers, statistics, strict=True):
            b.copy_(torch.tensor(s))
    return module.to(memory_format=torch.channels_last)


def weights_of(module):
    """Weights and batch statistics in the order and axes of Keras."""
    return (
        [
            p.detach().cpu().numpy().transpose(TO_KERAS[p.ndim])
            for p in module.parameters()
        ],
        [b.cpu().numpy() for b in module.buffers() if b.ndim],
    )


def in_precision(function, precision):
    """A network that computes in a lower precision and returns float32."""
    if precision == "float32":
        return function

    def run(x):
        with torch.autocast(x.device.type, getattr(torch, precision)):
            return function(x).float()

    return run
