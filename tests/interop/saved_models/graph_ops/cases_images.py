"""Images, boxes, signals and random numbers."""

import numpy as np
from case import case, complexes, f32, floats, i32, i64, integers

IMAGE = floats(2, 5, 7, 3, low=0, high=255)
for size in ((10, 14), (3, 4), (8, 5), (1, 1), (5, 7)):
    for rules in ({}, {"align_corners": True}, {"half_pixel_centers": True}):
        for op in ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"):
            case(op, "size", images=IMAGE, size=i32(*size), **rules, _atol=1e-3)
    for corners in (False, True):
        case("ResizeArea", "size", images=IMAGE, size=i32(*size), align_corners=corners, _atol=1e-3)
case("ResizeBilinear", "size", images=IMAGE.astype(np.uint8), size=i32(9, 9), half_pixel_centers=True, _atol=1e-3)
case("ResizeNearestNeighbor", "size", images=IMAGE.astype(np.uint8), size=i32(9, 9))
for kernel in ("lanczos1", "lanczos3", "lanczos5", "gaussian", "box", "triangle", "keyscubic", "mitchellcubic"):
    for antialias in (True, False):
        case(
            "ScaleAndTranslate",
            "size",
            images=IMAGE,
            size=i32(3, 11),
            scale=f32(0.6, 11 / 7),
            translation=f32(0.0, 0.3),
            kernel_type=kernel,
            antialias=antialias,
            _rtol=1e-4,
            _atol=2e-2,
        )
BOXES = f32([[0, 0, 1, 1], [0.2, 0.1, 0.7, 0.6], [-0.3, 0.4, 1.2, 0.9], [0.8, 0.9, 0.1, 0.2]])
for method in ("bilinear", "nearest"):
    case(
        "CropAndResize",
        "crop_size",
        image=IMAGE,
        boxes=BOXES,
        box_ind=i32(0, 1, 1, 0),
        crop_size=i32(4, 3),
        method=method,
        extrapolation_value=-7.0,
        _atol=1e-3,
    )
case("CropAndResize", "crop_size", image=IMAGE, boxes=BOXES, box_ind=i32(0, 1, 1, 0), crop_size=i32(1, 1), _atol=1e-3)
TURN = f32([[0.9, 0.2, -1.0, -0.2, 0.9, 0.7, 0.01, 0.02], [1.1, 0, 3.3, 0, 0.8, -2.2, 0, 0]])
for mode in ("CONSTANT", "REFLECT", "WRAP", "NEAREST"):
    for interpolation in ("BILINEAR", "NEAREST"):
        case(
            "ImageProjectiveTransformV2",
            "output_shape",
            images=IMAGE,
            transforms=TURN,
            output_shape=i32(6, 8),
            interpolation=interpolation,
            fill_mode=mode,
            _atol=2e-2,
            _rtol=1e-4,
        )
        case(
            "ImageProjectiveTransformV3",
            "output_shape",
            images=IMAGE,
            transforms=TURN[1:],
            output_shape=i32(5, 7),
            fill_value=f32(3.0),
            interpolation=interpolation,
            fill_mode=mode,
            _atol=2e-2,
            _rtol=1e-4,
        )
COLOURS = floats(2, 4, 5, 3, low=0, high=1)
case("RGBToHSV", images=COLOURS)
case("RGBToHSV", images=f32([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.2]]))
case("HSVToRGB", images=COLOURS)
case("AdjustContrastv2", images=COLOURS, contrast_factor=f32(1.7))
case("AdjustHue", images=COLOURS, delta=f32(0.3), _atol=1e-5)
case("AdjustHue", images=COLOURS, delta=f32(-0.6), _atol=1e-5)
case("AdjustSaturation", images=COLOURS, scale=f32(1.8), _atol=1e-5)

CORNERS = np.random.default_rng(0).uniform(0, 1, (30, 2)).astype(np.float32)
MANY = np.concatenate([CORNERS, CORNERS + np.random.default_rng(1).uniform(0.1, 0.5, (30, 2))], 1).astype(np.float32)
SCORES = np.random.default_rng(2).uniform(0, 1, 30).astype(np.float32)
TIED = np.round(SCORES, 1)
for scores in (SCORES, TIED):
    case("NonMaxSuppression", boxes=MANY, scores=scores, max_output_size=i32(7), iou_threshold=0.3)
    case("NonMaxSuppressionV2", boxes=MANY, scores=scores, max_output_size=i32(50), iou_threshold=f32(0.3))
    case(
        "NonMaxSuppressionV3",
        boxes=MANY,
        scores=scores,
        max_output_size=i32(50),
        iou_threshold=f32(0.2),
        score_threshold=f32(0.4),
    )
    for padded in (True, False):
        modes = {} if padded else {"_modes": ("numpy",)}
        case(
            "NonMaxSuppressionV4",
            "max_output_size",
            boxes=MANY,
            scores=scores,
            max_output_size=i32(25),
            iou_threshold=f32(0.2),
            score_threshold=f32(0.4),
            pad_to_max_output_size=padded,
            **modes,
        )
        case(
            "NonMaxSuppressionV5",
            "max_output_size",
            boxes=MANY,
            scores=scores,
            max_output_size=i32(20),
            iou_threshold=f32(0.4),
            score_threshold=f32(0.3),
            soft_nms_sigma=f32(0.0),
            pad_to_max_output_size=padded,
            **modes,
        )
case(
    "NonMaxSuppressionV5",
    "max_output_size",
    boxes=MANY,
    scores=SCORES,
    max_output_size=i32(30),
    iou_threshold=f32(0.4),
    score_threshold=f32(0.1),
    soft_nms_sigma=f32(0.5),
    pad_to_max_output_size=True,
)
case(
    "NonMaxSuppressionWithOverlaps",
    overlaps=floats(9, 9, low=0, high=1),
    scores=SCORES[:9],
    max_output_size=i32(5),
    overlap_threshold=f32(0.6),
    score_threshold=f32(0.1),
)
for pad in (False, True):
    for clip in (False, True):
        case(
            "CombinedNonMaxSuppression",
            "max_output_size_per_class max_total_size",
            boxes=MANY.reshape(2, 15, 1, 4),
            scores=floats(2, 15, 3, low=0, high=1),
            max_output_size_per_class=i32(4),
            max_total_size=i32(20),
            iou_threshold=f32(0.3),
            score_threshold=f32(0.3),
            pad_per_class=pad,
            clip_boxes=clip,
        )
case(
    "CombinedNonMaxSuppression",
    "max_output_size_per_class max_total_size",
    boxes=np.repeat(MANY.reshape(2, 15, 1, 4), 3, 2) * f32([[1], [0.9], [0.8]]),
    scores=floats(2, 15, 3, low=0, high=1),
    max_output_size_per_class=i32(4),
    max_total_size=i32(5),
    iou_threshold=f32(0.3),
    score_threshold=f32(0.3),
)

WAVES = {"": complexes(3, 8), "2D": complexes(2, 4, 6), "3D": complexes(2, 3, 4, 5)}
for suffix, waves in WAVES.items():
    rank = waves.ndim - 1
    for op in ("FFT", "IFFT"):
        case(f"{op}{suffix}", input=waves, _atol=1e-4)
    case(f"RFFT{suffix}", "fft_length", input=waves.real.copy(), fft_length=i32(list(waves.shape[1:])), _atol=1e-4)
    case(f"RFFT{suffix}", "fft_length", input=waves.real.copy(), fft_length=i32([3] * rank), _atol=1e-4)
    case(
        f"IRFFT{suffix}",
        "fft_length",
        input=waves,
        fft_length=i32([*waves.shape[1:-1], 2 * waves.shape[-1] - 2]),
        _atol=1e-4,
    )
case("FFT", input=complexes(3, 8, dtype=np.complex128))
case("RFFT", "fft_length", input=floats(16, dtype=np.float64), fft_length=i32([16]), Tcomplex=np.complex128)
case("AudioSpectrogram", input=floats(1000, 2, low=-1, high=1), window_size=200, stride=100, _rtol=1e-4, _atol=1e-4)
case(
    "AudioSpectrogram",
    input=floats(1000, 1, low=-1, high=1),
    window_size=256,
    stride=90,
    magnitude_squared=True,
    _rtol=1e-4,
    _atol=1e-3,
)
case(
    "Mfcc", "sample_rate", spectrogram=floats(1, 9, 257, low=0, high=50), sample_rate=i32(16000), _rtol=1e-4, _atol=1e-4
)
case(
    "Mfcc",
    "sample_rate",
    spectrogram=floats(2, 3, 129, low=0, high=50),
    sample_rate=i32(8000),
    upper_frequency_limit=3000.0,
    lower_frequency_limit=100.0,
    filterbank_channel_count=20,
    dct_coefficient_count=9,
    _rtol=1e-4,
    _atol=1e-4,
)

for seed in (i32(1, 2), i64(2**40 + 7, -3)):
    for dtype in (np.float32, np.float64, np.float16):
        case("StatelessRandomUniform", "shape", shape=i32(3, 5), seed=seed, dtype=dtype)
        case(
            "StatelessRandomNormal",
            "shape",
            shape=i32(3, 5),
            seed=seed,
            dtype=dtype,
            _rtol=3e-3 if dtype is np.float16 else 1e-5,
        )
    for dtype in (np.int32, np.int64):
        case(
            "StatelessRandomUniformInt",
            "shape",
            shape=i32([17]),
            seed=seed,
            minval=np.array(-5, dtype),
            maxval=np.array(1000, dtype),
        )
        case("StatelessRandomUniformFullInt", "shape", shape=i32([17]), seed=seed, dtype=dtype)
    case("StatelessRandomGetKeyCounter", seed=seed)
KEY = {"key": np.array([2**60 + 5], np.uint64), "counter": np.array([2**64 - 2, 7], np.uint64), "alg": i32(1)}
for dtype in (np.float32, np.float64):
    case("StatelessRandomUniformV2", "shape alg", shape=i32(4, 9), **KEY, dtype=dtype)
    case("StatelessRandomNormalV2", "shape alg", shape=i32(4, 9), **KEY, dtype=dtype)
case("StatelessRandomUniformFullIntV2", "shape alg", shape=i32([20]), **KEY, dtype=np.uint64)
case("StatelessRandomUniformIntV2", "shape alg", shape=i32([20]), **KEY, minval=i32(-7), maxval=i32(50))
for op in ("RandomUniform", "RandomStandardNormal", "TruncatedNormal"):
    case(op, "shape", shape=i32(3, 2), dtype=np.float32, seed=5, _derive="shape")
case("RandomUniformInt", "shape", shape=i32(3, 2), minval=i32(0), maxval=i32(9), seed=5, _derive="shape")
case("RandomShuffle", value=integers(5, 2), seed=3, _derive="shape")
case("Multinomial", "num_samples", logits=floats(3, 4), num_samples=i32(7), seed=3, _derive="shape")
