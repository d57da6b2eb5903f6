#!/usr/bin/env python3
"""Measures a whole `imagenet18 train` beside the bare step of `bench step`, in turn: python3 run.py DATA --out FILE.csv

One epoch of DATA's photos, decoded and augmented while the network trains; validation does not count. A case's share is the
median of its rounds'. Nothing else may run on the machine meanwhile.
"""
import argparse
import csv
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile

from step import last_line, processor

CASES = [('resnet50', 128, 32), ('resnet50', 224, 16), ('resnet18', 128, 64)]


def train(binary, data, arch, size, batch):
    phases = f"[{{'ep': 0, 'sz': {size}, 'bs': {batch}, 'trndir': ''}}, {{'ep': (0, 1), 'lr': 0.01}}]"
    with tempfile.TemporaryDirectory() as folder:
        logdir = os.path.join(folder, 'run')
        done = subprocess.run([binary, 'train', data, '--arch', arch, '--phases', phases, '--precision', 'bf16',
                               '--logdir', logdir], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f'`{" ".join(done.args)}` ended with {done.returncode}: {done.stderr.strip()}')
        with open(os.path.join(logdir, 'metrics.jsonl')) as lines:
            return json.loads(lines.readlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', help='a folder with train/CLASS/* and val/CLASS/*')
    parser.add_argument('--binary', default='target/release/imagenet18')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--steps', default='15')
    parser.add_argument('--only', action='append', type=int, help='numbers of cases, from 0; default: all')
    parser.add_argument('--out', required=True)
    options = parser.parse_args()
    rows, engine, images = [], '', 0
    for number in options.only or range(len(CASES)):
        arch, size, batch = CASES[number]
        shares = []
        for turn in range(1, options.rounds + 1):
            step = last_line([options.binary, 'bench', 'step', '--json', '--steps', options.steps, '--arch', arch, '--size',
                              str(size), '--batch', str(batch), '--precision', 'bf16'])
            engine = step['engine']
            end = train(options.binary, options.data, arch, size, batch)
            images = end['images_seen']
            run = images / end['train_seconds']
            bare = batch * 1000 / step['step_ms']
            shares.append(run / bare)
            rows.append([arch, size, batch, turn, round(run, 2), round(bare, 2), round(run / bare, 3),
                         round(end['data_seconds'] / end['train_seconds'], 4)])
            print(*rows[-1], sep=',', flush=True)
        print(f'  median share {statistics.median(shares):.3f}', flush=True)
    with open(options.out, 'w', newline='') as out:
        out.write(f'# {datetime.date.today()}, {processor()}: {engine}; {images:,} photos, one epoch a run\n')
        out.write(f'# imagenet18 train DATA and imagenet18 bench step --steps {options.steps}, bf16, in turn\n')
        writer = csv.writer(out, lineterminator='\n')
        writer.writerow(['arch', 'size', 'batch', 'round', 'run_images_per_s', 'step_images_per_s', 'share', 'data_wait'])
        writer.writerows(rows)


main()
