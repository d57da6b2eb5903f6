#!/usr/bin/env python3
"""Golden verdicts and pixels from Pillow for crates/in18-jpeg: what becomes of odd image files.

    python scripts/golden/odd.py FILES [OUT]        # all files of a folder, into OUT (default target/golden/odd)

Needs Pillow. OUT gets verdicts.tsv, a line a file, in the order of their names:

    NAME  ok       GOLDEN UPRIGHT   Image.open(NAME).convert('RGB') has the pixels of GOLDEN, a PNG beside it, and those of
                                    UPRIGHT once ImageOps.exif_transpose has turned it
    NAME  refused  REASON           what Pillow says instead
"""
import argparse
import os
import warnings

from PIL import Image, ImageOps

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


def main(folder, out):
    os.makedirs(out, exist_ok=True)
    lines = []
    for n, name in enumerate(sorted(os.listdir(folder))):
        rgb, upright = verdict(os.path.join(folder, name))
        if rgb is None:
            lines.append((name, 'refused', ' '.join(upright.split())))
            continue
        golden = turned = f'{n:05}.png'
        save(rgb, os.path.join(out, golden))
        if upright.size != rgb.size or upright.tobytes() != rgb.tobytes():
            turned = f'{n:05}-upright.png'
            save(upright, os.path.join(out, turned))
        lines.append((name, 'ok', golden, turned))
    with open(os.path.join(out, 'verdicts.tsv'), 'w') as file:
        file.writelines('\t'.join(line) + '\n' for line in lines)
    print(f'{len(lines)} verdicts in {out}')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', help='folder of files')
    parser.add_argument('out', nargs='?', default=DEFAULT_OUT, help='where the goldens go')
    a = parser.parse_args()
    warnings.simplefilter('ignore')     # of sizes and metadata
    main(a.files, a.out)
