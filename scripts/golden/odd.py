#!/usr/bin/env python3
"""Golden verdicts and pixels from Pillow for crates/in18-jpeg: what becomes of odd image files.

    python scripts/golden/odd.py FILES [OUT]        # all files of a folder, into OUT (default target/golden/odd)

Needs Pillow. OUT gets verdicts.tsv, a line a file, in the order of their names:

    NAME  ok       GOLDEN     Image.open(NAME).convert('RGB') has the pixels of GOLDEN, a PNG beside it
    NAME  refused  REASON     what Pillow says instead
"""
import argparse
import os
import warnings

from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEFAULT_OUT = os.path.join(ROOT, 'target', 'golden', 'odd')


def verdict(path):
    """Pillow's pixels, or why there are none."""
    try:
        with Image.open(path) as image:
            return image.convert('RGB'), None
    except Exception as error:      # whatever it is, it is no image to Pillow
        return None, f'{type(error).__name__}: {error}'.replace(path, 'it')


def main(folder, out):
    os.makedirs(out, exist_ok=True)
    lines = []
    for n, name in enumerate(sorted(os.listdir(folder))):
        rgb, reason = verdict(os.path.join(folder, name))
        if rgb is None:
            lines.append((name, 'refused', ' '.join(reason.split())))
            continue
        golden = f'{n:05}.png'
        rgb.save(os.path.join(out, golden), compress_level=1)
        lines.append((name, 'ok', golden))
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
