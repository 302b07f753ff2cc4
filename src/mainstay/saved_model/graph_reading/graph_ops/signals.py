"""Signals: Fourier transforms, spectrograms and the features of speech made of them."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value, integer, integers


def _axes(rank: int) -> tuple[int, ...]:
    return tuple(range(-rank, 0))


def _register(suffix: str, rank: int) -> None:
    """Register the transforms over so many last axes."""

    def transform(_node: OpNode, x: Value) -> Value:
        return jnp.fft.fftn(jnp.asarray(x), axes=_axes(rank)).astype(x.dtype)

    def inverse_transform(_node: OpNode, x: Value) -> Value:
        return jnp.fft.ifftn(jnp.asarray(x), axes=_axes(rank)).astype(x.dtype)

    def real_transform(node: OpNode, x: Value, lengths: Value) -> Value:
        whole = jnp.fft.rfftn(jnp.asarray(x), s=integers(lengths), axes=_axes(rank))
        return whole.astype(node.attr("Tcomplex", np.dtype(np.complex64)))

    def inverse_real_transform(node: OpNode, x: Value, lengths: Value) -> Value:
        whole = jnp.fft.irfftn(jnp.asarray(x), s=integers(lengths), axes=_axes(rank))
        return whole.astype(node.attr("Treal", np.dtype(np.float32)))

    graph_op(f"FFT{suffix}", f"BatchFFT{suffix}")(transform)
    graph_op(f"IFFT{suffix}", f"BatchIFFT{suffix}")(inverse_transform)
    graph_op(f"RFFT{suffix}")(real_transform)
    graph_op(f"IRFFT{suffix}")(inverse_real_transform)


for _suffix, _rank in {"": 1, "2D": 2, "3D": 3}.items():
    _register(_suffix, _rank)


@graph_op("FFTND", "IFFTND", "RFFTND", "IRFFTND")
def fft_nd(node: OpNode, x: Value, lengths: Value, axes: Value) -> Value:
    """Transform along any axes."""
    functions = {"FFTND": jnp.fft.fftn, "IFFTND": jnp.fft.ifftn, "RFFTND": jnp.fft.rfftn, "IRFFTND": jnp.fft.irfftn}
    result = functions[node.op](jnp.asarray(x), s=integers(lengths), axes=integers(axes))
    return result.astype(node.outputs[0]) if node.outputs else result


@graph_op("AudioSpectrogram")
def audio_spectrogram(node: OpNode, samples: Value) -> Value:
    """Return the strength of frequencies in windows of audio, `[channels, windows, frequencies]`.

    The samples are `[length, channels]`; each window is weighted by a periodic Hann window and padded to a power of
    two.
    """
    samples = jnp.asarray(samples)
    size, stride = node.attr("window_size"), node.attr("stride")
    length, channels = samples.shape
    count = 1 + (length - size) // stride if length >= size else 0
    points = 1 << max(size - 1, 0).bit_length()
    weights = np.asarray(0.5 - 0.5 * np.cos(2 * math.pi * np.arange(size) / size), np.float64)
    starts = np.arange(count)[:, None] * stride + np.arange(size)
    windows = samples.T.astype(jnp.float64)[:, starts] * weights
    spectrum = jnp.fft.rfft(windows.reshape(channels, count, size), points)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    return (power if node.attr("magnitude_squared", False) else jnp.sqrt(power)).astype(jnp.float32)


@graph_op("Mfcc")
def mfcc(node: OpNode, spectrogram: Value, sample_rate: Value) -> Value:
    """Return the cosine transform of the logarithms of a spectrogram in bands of the mel scale."""
    bands = node.attr("filterbank_channel_count", 40)
    wide = jnp.sqrt(jnp.asarray(spectrogram).astype(jnp.float64))
    limits = (node.attr("lower_frequency_limit", 20.0), node.attr("upper_frequency_limit", 4000.0))
    weights = _mel_weights(wide.shape[-1], integer(sample_rate), limits, bands)
    logarithms = jnp.log(jnp.maximum(wide @ weights, 1e-12))
    count = node.attr("dct_coefficient_count", 13)
    angles = math.pi / bands * np.arange(count)[None] * (np.arange(bands)[:, None] + 0.5)
    return (logarithms @ (math.sqrt(2 / bands) * np.cos(angles))).astype(jnp.float32)


def _mel(frequency: Any) -> Any:
    return 1127.0 * np.log1p(frequency / 700.0)


def _mel_weights(bins: int, sample_rate: int, limits: tuple[float, float], bands: int) -> np.ndarray[Any, Any]:
    """Return how much each frequency counts in each band, `[bins, bands]`: triangles that overlap by half."""
    low, high = _mel(limits[0]), _mel(limits[1])
    centers = low + (high - low) / (bands + 1) * np.arange(1, bands + 2)
    width = 0.5 * sample_rate / (bins - 1)
    first, last = int(1.5 + limits[0] / width), int(limits[1] / width)
    weights = np.zeros((bins, bands))
    for index in range(first, min(last, bins - 1) + 1):
        place = _mel(index * width)
        band = int(np.searchsorted(centers[:bands], place, side="left")) - 1
        if band >= 0:
            share = (centers[band + 1] - place) / (centers[band + 1] - centers[band])
            weights[index, band] += share
        else:
            share = (centers[0] - place) / (centers[0] - low)
        if band + 1 < bands:
            weights[index, band + 1] += 1 - share
    return weights
