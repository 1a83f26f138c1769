"""Makes scripts/vvctl/model/reference.npz: a test signal, its features by Kaldi, its embeddings by PyTorch.

Independent of the product on purpose: features by kaldi-native-fbank at 16 kHz, the network as plain PyTorch modules
after 3D-Speaker's speakerlab/models/campplus (Apache-2.0), weights loaded by torch.load from the pinned checkpoint.
It runs once, in an environment of its own:

    pip install torch==2.13.0 kaldi-native-fbank==1.23.0 numpy
    python tests/unit/model/make_reference.py CHECKPOINT scripts/vvctl/model/reference.npz

The signal is made up (voiced sounds with moving pitch and formants over a little noise), so nobody holds rights in it.
"""

from __future__ import annotations

import sys
from collections import OrderedDict

import kaldi_native_fbank
import numpy as np
import torch
from torch import nn
from torch.nn import functional

CHUNK = 100
SECONDS = 4.2


def signal() -> np.ndarray:
    """Something like speech at 8 kHz, (33600,) float32, exactly representable in 16 bits."""
    rate, random = 8000, np.random.default_rng(7)
    time = np.arange(int(SECONDS * rate)) / rate
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * time) + 10 * np.sin(2 * np.pi * 2.3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = np.zeros_like(time)
    for harmonic in range(1, 25):
        hertz = harmonic * pitch
        gain = sum(
            np.exp(-(((hertz - (centre + swing * np.sin(2 * np.pi * speed * time))) / width) ** 2))
            for centre, swing, speed, width in ((600, 200, 1.1, 150), (1500, 500, 0.8, 250), (2600, 300, 1.7, 300))
        )
        voice += (gain + 0.02) * np.sin(harmonic * phase) * (hertz < 3800)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 3.5 * time)
    noise = random.standard_normal(len(time))
    samples = 0.15 * voice * syllables + 0.01 * noise
    return (np.round(samples / np.abs(samples).max() * 0.7 * 32767) / 32768).astype(np.float32)


def kaldi_features(samples: np.ndarray) -> np.ndarray:
    """What the model was trained on: Kaldi's filter bank at 16 kHz, (frames, 80)."""
    # Exact band-limited interpolation: a resampler's filter would take away the last bin below 4 kHz.
    upsampled = (2 * np.fft.irfft(np.fft.rfft(samples), 2 * len(samples))).astype(np.float32)
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = 16000
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 80
    options.use_energy = False
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(16000, upsampled.tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(index) for index in range(bank.num_frames_ready)])


def norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU()))


class Residual(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(32, 32, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 32, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(32, 32, 1, (stride, 1), bias=False), nn.BatchNorm2d(32))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layer1 = nn.Sequential(Residual(2), Residual(1))
        self.layer2 = nn.Sequential(Residual(2), Residual(1))
        self.conv2 = nn.Conv2d(32, 32, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x.unsqueeze(1))))
        x = functional.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


class Mask(nn.Module):
    """Context-aware masking: global mean plus the mean of each segment of 100 frames."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(128, 32, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(128, 64, 1)
        self.linear2 = nn.Conv1d(64, 32, 1)

    def forward(self, x):
        segments = functional.avg_pool1d(x, 100, 100, ceil_mode=True)
        segments = segments.repeat_interleave(100, dim=-1)[..., : x.shape[-1]]
        context = functional.relu(self.linear1(x.mean(-1, keepdim=True) + segments))
        return self.linear_local(x) * torch.sigmoid(self.linear2(context))


class DenseLayer(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = norm_relu(channels)
        self.linear1 = nn.Conv1d(channels, 128, 1, bias=False)
        self.nonlinear2 = norm_relu(128)
        self.cam_layer = Mask(dilation)

    def forward(self, x):
        y = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))
        return torch.cat([x, y], dim=1)


class Unit(nn.Module):
    """A convolution before (`first`) or after its batch normalisation and ReLU."""

    def __init__(self, linear: nn.Module, nonlinear: nn.Module, *, first: bool) -> None:
        super().__init__()
        self.linear, self.nonlinear, self.first = linear, nonlinear, first

    def forward(self, x):
        return self.nonlinear(self.linear(x)) if self.first else self.linear(self.nonlinear(x))


class Statistics(nn.Module):
    def forward(self, x):
        return torch.cat([x.mean(-1), x.std(-1, unbiased=True)], dim=-1).unsqueeze(-1)


class CamPlus(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = Head()
        layers = OrderedDict(tdnn=Unit(nn.Conv1d(320, 128, 5, 2, 2, bias=False), norm_relu(128), first=True))
        channels = 128
        for number, (count, dilation) in enumerate(((12, 1), (24, 2), (16, 2)), 1):
            layers[f"block{number}"] = nn.Sequential(
                OrderedDict((f"tdnnd{i + 1}", DenseLayer(channels + 32 * i, dilation)) for i in range(count))
            )
            channels += 32 * count
            layers[f"transit{number}"] = Unit(
                nn.Conv1d(channels, channels // 2, 1, bias=False), norm_relu(channels), first=False
            )
            channels //= 2
        layers["out_nonlinear"] = norm_relu(channels)
        layers["stats"] = Statistics()
        # "batchnorm_" in 3D-Speaker: no affine parameters, and no ReLU after it.
        last = nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(192, affine=False)))
        layers["dense"] = Unit(nn.Conv1d(2 * channels, 192, 1, bias=False), last, first=True)
        self.xvector = nn.Sequential(layers)

    def forward(self, features):
        return self.xvector(self.head(features.transpose(1, 2))).squeeze(-1)


def main(checkpoint: str, output: str) -> None:
    network = CamPlus().eval()
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True), strict=True)
    samples = signal()
    kaldi = kaldi_features(samples)
    whole = len(kaldi) // CHUNK * CHUNK
    chunks = kaldi[:whole].reshape(-1, CHUNK, 80)
    features = (chunks - chunks.mean(axis=1, keepdims=True)).astype(np.float32)
    with torch.no_grad():
        embeddings = network(torch.from_numpy(features)).numpy()
    np.savez_compressed(
        output, signal=samples, kaldi=kaldi[:whole].astype(np.float32), features=features, embeddings=embeddings
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
