#!/usr/bin/env python3
"""Golden pixels from Pillow for crates/in18-image: what files decode to, and what their crops are resized to.

    python scripts/golden/crops.py                     # rewrites crates/in18-image/tests/golden (small, committed)
    python scripts/golden/crops.py PHOTOS [OUT]        # photos below a folder, into OUT (default target/golden/crops)

Needs Pillow and numpy. A golden folder holds images and manifest.tsv, a line a check:

    decode  SOURCE  GOLDEN                                 SOURCE decodes to GOLDEN, as Pillow's convert('RGB')
    resize  SOURCE  GOLDEN  left top width height w h      this crop of SOURCE, a PNG, resized to w x h is GOLDEN

A resize starts from pixels that Pillow decoded, so that it measures the resize alone. Crops follow torchvision's
RandomResizedCrop; the stand-alone validation resize is a crop of everything.
"""
import argparse
import hashlib
import math
import os
import random
import sys

import numpy as np
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMITTED = os.path.join(ROOT, 'crates', 'in18-image', 'tests', 'golden')
DEFAULT_OUT = os.path.join(ROOT, 'target', 'golden', 'crops')


class Golden:
    """A golden folder being written."""

    def __init__(self, folder):
        self.folder, self.lines, self.decoded = folder, [], {}
        os.makedirs(folder, exist_ok=True)

    def save(self, image, name, **options):
        image.save(os.path.join(self.folder, name), **options)
        return name

    def decode(self, source, golden, rgb=None, **options):
        """Checks that `source` decodes to what Pillow makes of it, or to `rgb`; returns those pixels."""
        if rgb is None:
            with Image.open(os.path.join(self.folder, source)) as image:
                rgb = image.convert('RGB')
        digest = hashlib.sha256(rgb.tobytes()).digest()
        if digest in self.decoded:      # several files of the same pixels share a golden
            golden = self.decoded[digest]
        else:
            self.decoded[digest] = self.save(rgb, golden, **options)
        self.lines.append(f'decode\t{source}\t{golden}')
        return rgb

    def resize(self, rgb, source, golden, box, size, **options):
        """Checks that the crop `box` (left, top, width, height) of `source` resized to `size` is Pillow's."""
        left, top, width, height = box
        out = rgb.crop((left, top, left + width, top + height)).resize(size, Image.BILINEAR)
        self.save(out, golden, **options)
        self.lines.append('\t'.join(map(str, ('resize', source, golden, *box, *size))))

    def close(self):
        with open(os.path.join(self.folder, 'manifest.tsv'), 'w') as manifest:
            manifest.write('\n'.join(self.lines) + '\n')


def random_box(rng, width, height, min_scale=0.08):
    """torchvision's RandomResizedCrop.get_params; where no crop fits in ten tries, everything."""
    for _ in range(10):
        area = width * height * rng.uniform(min_scale, 1.0)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = int(round(math.sqrt(area * ratio))), int(round(math.sqrt(area / ratio)))
        if 0 < w <= width and 0 < h <= height:
            return rng.randint(0, width - w), rng.randint(0, height - h), w, h
    return 0, 0, width, height


def val_size(width, height, size):
    """torchvision's Resize(size): the short side becomes `size`."""
    short = int(size * 1.14)
    return (short, short * height // width) if width <= height else (short * width // height, short)


def scene(width, height, rng):
    """Smooth colour, hard edges, fine stripes and noise in one picture."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 127 + 127 * np.sin(x / 7.0 + y / 13.0)
    green = 255.0 * ((x // 5 + y // 9) % 2)
    blue = np.where((x > width / 2) & (y > height / 2), rng.integers(0, 256, (height, width)), 255 * (x % 2))
    return Image.fromarray(np.stack([red, green, blue], -1).round().astype(np.uint8), 'RGB')


def committed():
    """The small set: made here, no photo among it."""
    golden = Golden(COMMITTED)
    noise = np.random.default_rng(18)
    rng = random.Random(18)
    for width, height in ((65, 43), (40, 59)):
        rgb = scene(width, height, noise)
        source = golden.save(rgb, f'scene_{width}x{height}.png', optimize=True)
        sizes = [(32, 32), (48, 48), (17, 29), (width, 20), (20, height)]
        for n, size in enumerate(sizes):
            golden.resize(rgb, source, f'scene_{width}x{height}_crop{n}.png', random_box(rng, width, height), size, optimize=True)
        golden.resize(rgb, source, f'scene_{width}x{height}_val.png', (0, 0, width, height), val_size(width, height, 24), optimize=True)
        golden.resize(rgb, source, f'scene_{width}x{height}_up.png', (3, 5, 11, 13), (32, 32), optimize=True)
        golden.resize(rgb, source, f'scene_{width}x{height}_narrow.png', (2, 1, 30, 20), (30, 9), optimize=True)

    # Every kind of PNG and JPEG that is read. 29 x 21 is a multiple of no block size.
    rgb = scene(29, 21, noise)
    smooth = rgb.resize((8, 6), Image.BILINEAR).resize((29, 21), Image.BICUBIC)
    alpha = Image.fromarray((np.arange(29 * 21).reshape(21, 29) % 256).astype(np.uint8), 'L')
    palette = smooth.quantize(32)
    deep = (np.asarray(smooth.convert('L')).astype(np.uint16) * 257) ^ 0x0055
    pngs = {
        'rgb': smooth, 'rgba': Image.merge('RGBA', (*smooth.split(), alpha)), 'grey': smooth.convert('L'),
        'grey_alpha': Image.merge('LA', (smooth.convert('L'), alpha)), 'bilevel': smooth.convert('1'), 'palette': palette,
        'palette_2bit': smooth.quantize(4),
    }
    for name, image in pngs.items():
        golden.decode(golden.save(image, f'png_{name}.png', optimize=True), f'png_{name}_rgb.png', optimize=True)
    # Here alone we differ: Pillow clips 16-bit greys at 255, which turns nearly all of them white; we keep the high byte.
    golden.decode(golden.save(Image.fromarray(deep), 'png_grey16.png', optimize=True), 'png_grey16_rgb.png',
                  rgb=Image.fromarray((deep >> 8).astype(np.uint8)).convert('RGB'), optimize=True)
    golden.decode(golden.save(palette, 'png_palette_transparent.png', transparency=3), 'png_palette_transparent_rgb.png', optimize=True)
    inks = Image.merge('CMYK', [*smooth.convert('CMYK').split()[:3], alpha.point(lambda v: v // 2)])
    jpegs = {
        '444': (smooth, dict(subsampling=0)), '422': (smooth, dict(subsampling=1)), '420': (smooth, dict(subsampling=2)),
        'grey': (smooth.convert('L'), {}), 'progressive': (smooth, dict(progressive=True)), 'cmyk': (inks, {}),
        'restarts': (smooth, dict(restart_marker_rows=1)), 'grey_restarts': (smooth.convert('L'), dict(restart_marker_rows=1)),
        '444_restarts': (smooth, dict(subsampling=0, restart_marker_blocks=3)), 'rgb': (smooth, dict(keep_rgb=True)),
    }
    for name, (image, options) in jpegs.items():
        golden.decode(golden.save(image, f'jpeg_{name}.jpg', quality=90, **options), f'jpeg_{name}_rgb.png', optimize=True)
    golden.close()
    return golden


def photos(folder, out, limit):
    """Checks on photos, which are never committed: read where they lie, goldens into `out`."""
    paths = sorted(os.path.join(root, name) for root, _, names in os.walk(os.path.abspath(folder), followlinks=True) for name in names)
    rng = random.Random(18)
    if limit and len(paths) > limit:
        paths = sorted(rng.sample(paths, limit))
    golden = Golden(out)
    for n, path in enumerate(paths):
        try:
            rgb = golden.decode(path, f'{n:05}.png', compress_level=1)
        except Exception as error:      # an image that Pillow refuses has no golden pixels
            print(f'skipped {path}: {error}', file=sys.stderr)
            continue
        for size in (128, 224):
            golden.resize(rgb, f'{n:05}.png', f'{n:05}_{size}.png', random_box(rng, *rgb.size), (size, size), compress_level=1)
        golden.resize(rgb, f'{n:05}.png', f'{n:05}_val.png', (0, 0, *rgb.size), val_size(*rgb.size, 128), compress_level=1)
    golden.close()
    return golden


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photos', nargs='?', help='folder of photos; without it, the committed set is rewritten')
    parser.add_argument('out', nargs='?', default=DEFAULT_OUT, help='where the goldens of photos go')
    parser.add_argument('--limit', type=int, default=120, help='at most so many photos, 0 for all')
    a = parser.parse_args()
    done = photos(a.photos, a.out, a.limit) if a.photos else committed()
    print(f'{len(done.lines)} checks in {done.folder}')
