#!/usr/bin/env python3
"""Measures `imagenet18 bench step` beside a peer, in turn, and writes a CSV: python3 step.py --peer PEER.py --out FILE.csv

PEER.py takes the same --arch, --size, --batch, --precision and --eval, and --mode eager or compile, and prints one JSON
object with step_ms and peak_rss_mb as its last line. A case's ratio is the median of its rounds' ratios, of the peer's
better mode where both are asked for. Nothing else may run on the machine meanwhile.
"""
import argparse
import csv
import datetime
import json
import platform
import statistics
import subprocess
import sys

CASES = [
    '--arch resnet50 --size 128 --batch 32 --precision bf16',
    '--arch resnet50 --size 224 --batch 16 --precision bf16',
    '--arch resnet50 --size 288 --batch 8 --precision bf16',
    '--arch resnet18 --size 128 --batch 64 --precision bf16',
    '--arch resnet50 --size 128 --batch 32 --precision fp32',
    '--arch resnet50 --size 128 --batch 32 --precision bf16 --eval',
    '--arch resnet50 --size 288 --batch 16 --precision bf16 --eval',
    # What CPUs without bf16 compute.
    '--arch resnet18 --size 128 --batch 64 --precision fp32',
    '--arch resnet18 --size 64 --batch 64 --precision fp32',
    '--arch resnet50 --size 224 --batch 16 --precision fp32',
    '--arch resnet50 --size 128 --batch 32 --precision fp32 --eval',
    '--arch resnet50 --size 288 --batch 16 --precision fp32 --eval',
]


def last_line(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ['nothing'])[-1]
        sys.exit(f'`{" ".join(command)}` ended with {done.returncode} and said: {said}')
    return json.loads(done.stdout.strip().splitlines()[-1])


def processor():
    with open('/proc/cpuinfo') as info:
        return next((line.split(':')[1].strip() for line in info if line.startswith('model name')), platform.machine())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--peer', required=True, help="the peer's script")
    parser.add_argument('--binary', default='target/release/imagenet18')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--steps', default='7')
    parser.add_argument('--mode', action='append', help='of the peer; may be repeated; default: eager')
    parser.add_argument('--only', action='append', type=int, help='numbers of cases, from 0; default: all')
    parser.add_argument('--engine', default='onednn', help='of ours: onednn, or torch where the binary has it')
    parser.add_argument('--out', required=True)
    options = parser.parse_args()
    rows, described = [], {}
    for number in options.only or range(len(CASES)):
        case = CASES[number].split()
        for turn in range(1, options.rounds + 1):
            engine = ['--engine', options.engine, '--devices', 'cpu']
            ours = last_line([options.binary, 'bench', 'step', '--json', '--steps', options.steps, *engine, *case])
            peers = [
                last_line([sys.executable, options.peer, '--steps', options.steps, '--mode', mode, *case])
                for mode in options.mode or ['eager']
            ]
            best = min(peers, key=lambda peer: peer['step_ms'])
            described = {'ours': ours['engine'], 'peer': ' or '.join(peer['peer'] for peer in peers)}
            rows.append([
                CASES[number], turn, ours['step_ms'], best['step_ms'], round(best['step_ms'] / ours['step_ms'], 3),
                ours['gflop_per_s'], ours['peak_rss_mb'], best['peak_rss_mb'],
            ])
            print(*rows[-1], sep=',', flush=True)
        print(f'  median ratio {statistics.median(row[4] for row in rows if row[0] == CASES[number]):.3f}', flush=True)
    with open(options.out, 'w', newline='') as out:
        out.write(f'# {datetime.date.today()}, {processor()}: {described.get("ours")}, beside {described.get("peer")}\n')
        out.write(f'# imagenet18 bench step --json --engine {options.engine} --devices cpu --steps {options.steps} ARGS and the peer with the same ARGS, in turn\n')
        writer = csv.writer(out, lineterminator='\n')
        writer.writerow(['args', 'round', 'ours_step_ms', 'peer_step_ms', 'ratio', 'ours_gflop_per_s', 'ours_peak_rss_mib',
                         'peer_peak_rss_mib'])
        writer.writerows(rows)


if __name__ == '__main__':
    main()
