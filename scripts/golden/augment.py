#!/usr/bin/env python3
"""Golden pixels for crates/in18-loader: mixup and cutmix by timm's formulas in NumPy, colour jitter by Pillow.

    pip install numpy==2.4.6 pillow==12.3.0
    python scripts/golden/augment.py           # writes crates/in18-loader/tests/golden/augment.tsv

What is random in a run (shares, centres, factors) is given here. Columns are separated by tabs, and pixels are
hexadecimal bytes, (N, H, W, 3). A line is one check:

    blend   WIDTH HEIGHT SHARE          SHARE   IN  OUT     a batch after mixup
    paste   WIDTH HEIGHT SHARE,X,Y      SHARE   IN  OUT     after cutmix around the centre (X, Y), and the share corrected
    jitter  WIDTH HEIGHT NAME=FACTOR,...    -   IN  OUT     an image after these changes, in this order
"""

import pathlib

import numpy as np
from PIL import Image, ImageEnhance

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates" / "in18-loader" / "tests" / "golden" / "augment.tsv"
ENHANCERS = dict(brightness=ImageEnhance.Brightness, contrast=ImageEnhance.Contrast, saturation=ImageEnhance.Color)


def mixup(batch, lam):
    """timm.data.mixup.FastCollateMixup._mix_batch_collate; the weights are single precision there, as NumPy casts them."""
    return np.stack(
        [np.rint(x.astype(np.float32) * lam + y.astype(np.float32) * (1 - lam)).astype(np.uint8) for x, y in zip(batch, batch[::-1])]
    )


def cutmix(batch, lam, cx, cy):
    """The same with timm.data.mixup.rand_bbox and cutmix_bbox_and_lam(correct_lam=True)."""
    height, width = batch.shape[1:3]
    ratio = np.sqrt(1 - lam)
    cut_h, cut_w = int(height * ratio), int(width * ratio)
    yl, yh = np.clip(cy - cut_h // 2, 0, height), np.clip(cy + cut_h // 2, 0, height)
    xl, xh = np.clip(cx - cut_w // 2, 0, width), np.clip(cx + cut_w // 2, 0, width)
    mixed = batch.copy()
    mixed[:, yl:yh, xl:xh] = batch[::-1, yl:yh, xl:xh]
    return mixed, 1.0 - (yh - yl) * (xh - xl) / float(height * width)


def jitter(pixels, factors):
    """torchvision.transforms.ColorJitter of a PIL image, with given factors and order."""
    image = Image.fromarray(pixels)
    for name, factor in factors:
        image = ENHANCERS[name](image).enhance(factor)
    return np.asarray(image)


def single(number):
    """A number that single precision has."""
    return float(np.float32(number))


def main():
    random = np.random.default_rng(0)
    lines = []

    def line(kind, size, parameters, share, before, after):
        columns = [kind, *map(str, size), parameters, share, before.tobytes().hex(), after.tobytes().hex()]
        lines.append("\t".join(columns))

    for images, width, height in [(4, 7, 5), (3, 8, 4)]:
        batch = random.integers(0, 256, (images, height, width, 3), dtype=np.uint8)
        batch[0, 0], batch[-1, 0] = 255, 0
        for lam in map(single, [0.0, 1.0, 0.5, 0.3, 0.9375, *random.beta(0.2, 0.2, 3)]):
            line("blend", (width, height), repr(lam), repr(lam), batch, mixup(batch, lam))
        for lam in map(single, [0.0, 1.0, 0.5, 0.25, *random.uniform(0, 1, 4)]):
            x, y = int(random.integers(width)), int(random.integers(height))
            after, share = cutmix(batch, lam, x, y)
            line("paste", (width, height), f"{lam!r},{x},{y}", repr(single(share)), batch, after)
    every = np.arange(256)
    levels = np.stack([every, every * 7 % 256, (every * 13 + 5) % 256], -1).reshape(16, 16, 3).astype(np.uint8)
    photo = random.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    cases = [[(name, factor)] for name in ENHANCERS for factor in (0.0, 0.6, 1.0, 1.4, 0.123456789, 2.5)]
    cases += [
        [("contrast", 1.3), ("brightness", 0.7), ("saturation", 1.2)],
        [("saturation", 0.65), ("contrast", 0.8), ("brightness", 1.35)],
        [("brightness", 1.37), ("saturation", 1.4), ("contrast", 1.21)],
    ]
    for number, factors in enumerate(cases):
        pixels = photo if number % 3 == 2 else levels
        parameters = ",".join(f"{name}={factor!r}" for name, factor in factors)
        line("jitter", pixels.shape[1::-1], parameters, "-", pixels, jitter(pixels, factors))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} lines")


if __name__ == "__main__":
    main()
