#!/usr/bin/env python3
"""Golden verdicts and pixels from Pillow for crates/in18-image: what becomes of odd image files.

    python scripts/golden/odd.py FILES [OUT]        # all files of a folder, into OUT (default target/golden/odd)

Needs Pillow. `cargo xtask golden` has it judge the odd files that crates/in18-testkit makes, and then copies verdicts.tsv to
crates/in18-testkit/golden/odd.tsv. Odd files of other projects are judged before the tests where someone has them.

OUT gets verdicts.tsv: behind a line that names the libraries, a line a file, in the order of their names. CHECKSUM is the start
of the file's SHA-256, PIXELS are the size and the start of the SHA-256 of the RGB bytes:

    NAME  CHECKSUM  ok       PIXELS [PIXELS]  of Image.open(NAME).convert('RGB'), and if they are others, of the same once
                                              ImageOps.exif_transpose has turned it
    NAME  CHECKSUM  refused  REASON           what Pillow says instead

and the pixels themselves, to find out what differs: NAME.png and NAME.upright.png.
"""
import argparse
import hashlib
import os
import warnings

import PIL
from PIL import Image, ImageOps, features

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEFAULT_OUT = os.path.join(ROOT, 'target', 'golden', 'odd')


def verdict(path):
    """Pillow's pixels and those of the upright image, or why there are none."""
    try:
        with Image.open(path) as image:
            rgb = image.convert('RGB')
    except Exception as error:      # whatever it is, it is no image to Pillow
        return None, f'{type(error).__name__}: {error}'.replace(path, 'it')
    try:
        return rgb, ImageOps.exif_transpose(rgb)
    except Exception:               # metadata that Pillow chokes on says nothing
        return rgb, rgb


def save(rgb, path):
    """Writes pixels and no metadata, which would turn them again."""
    Image.frombytes('RGB', rgb.size, rgb.tobytes()).save(path, compress_level=1)


def checksum(data):
    return hashlib.sha256(data).hexdigest()[:16]


def fingerprint(rgb):
    return f'{rgb.width}x{rgb.height}:{checksum(rgb.tobytes())}'


def main(folder, out):
    os.makedirs(out, exist_ok=True)
    lines = [f"# Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"]
    names = sorted(os.listdir(folder), key=os.fsencode)
    for name in names:
        path = os.path.join(folder, name)
        with open(path, 'rb') as file:
            line = [name, checksum(file.read())]
        rgb, upright = verdict(path)
        if rgb is None:
            line += ['refused', ' '.join(upright.split())]
        else:
            line += ['ok', fingerprint(rgb)]
            save(rgb, os.path.join(out, f'{name}.png'))
            if fingerprint(upright) != fingerprint(rgb):
                line.append(fingerprint(upright))
                save(upright, os.path.join(out, f'{name}.upright.png'))
        lines.append('\t'.join(line))
    with open(os.path.join(out, 'verdicts.tsv'), 'w') as file:
        file.writelines(line + '\n' for line in lines)
    print(f'{len(names)} verdicts in {out}')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', help='folder of files')
    parser.add_argument('out', nargs='?', default=DEFAULT_OUT, help='where the goldens go')
    a = parser.parse_args()
    warnings.simplefilter('ignore')     # of sizes and metadata
    main(a.files, a.out)
