#!/usr/bin/env python3
"""Measures what several ranks cost and what hiding their exchange gains: python3 exchange.py --binary B --out FILE.csv

Two ranks of half the cores each beside one rank of all cores, in turn; then, as root, two hosts (network namespaces) joined by
links of several speeds, with the exchange hidden behind the backward half and without. Nothing else may run meanwhile.
"""
import argparse
import csv
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

CASE = ['--arch', 'resnet50', '--size', '128', '--precision', 'bf16', '--json']
SPEEDS = [500, 1000, 2500]  # Mbit/s
PORT = '29519'


def measured(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'`{" ".join(command)}` ended with {done.returncode}: {done.stderr[-500:]}')
    return json.loads(done.stdout.strip().splitlines()[-1])


def system(*command):
    subprocess.run(command, check=True)


class Hosts:
    """Two network namespaces joined by a link."""

    def __init__(self, mbit):
        self.names = ['in18benchA', 'in18benchB']
        a, b = self.names
        for name in self.names:
            system('ip', 'netns', 'add', name)
        system('ip', '-n', a, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', b)
        for name, address in zip(self.names, ('10.18.0.1/24', '10.18.0.2/24')):
            system('ip', '-n', name, 'address', 'add', address, 'dev', 'wire')
            for link in ('wire', 'lo'):
                system('ip', '-n', name, 'link', 'set', link, 'up')
            shape = ['root', 'tbf', 'rate', f'{mbit}mbit', 'burst', '1mb', 'latency', '100ms']
            system('tc', '-n', name, 'qdisc', 'add', 'dev', 'wire', *shape)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in self.names:
            system('ip', 'netns', 'delete', name)

    def measure(self, binary, arguments):
        ranks = []
        for rank, name in enumerate(self.names):
            place = {'RANK': str(rank), 'WORLD_SIZE': '2', 'LOCAL_RANK': str(rank), 'LOCAL_WORLD_SIZE': '2'}
            environment = {**os.environ, **place, 'MASTER_ADDR': '10.18.0.1', 'MASTER_PORT': PORT}
            command = ['ip', 'netns', 'exec', name, binary, 'bench', 'step', '--devices', 'cpu', *CASE, *arguments]
            ranks.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        said = [rank.communicate()[0] for rank in ranks]
        if any(rank.returncode for rank in ranks):
            sys.exit(f'a rank ended with {[rank.returncode for rank in ranks]}')
        return json.loads(said[0].strip().splitlines()[-1])


def processor():
    with open('/proc/cpuinfo') as info:
        return next((line.split(':')[1].strip() for line in info if line.startswith('model name')), platform.machine())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--binary', default='target/release/imagenet18')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--steps', default='5')
    parser.add_argument('--out', required=True)
    options = parser.parse_args()
    steps, rows = ['--steps', options.steps], []
    ratios = []
    for turn in range(1, options.rounds + 1):
        bench = [options.binary, 'bench', 'step', *CASE, *steps]
        two = measured([*bench, '--devices', 'cpu:2', '--batch', '16'])
        one = measured([*bench, '--devices', 'cpu', '--batch', '32'])
        ratios.append(two['images_per_s'] / one['images_per_s'])
        exchange = two['exchange']
        rows.append(['2 ranks of half the cores, batch 16 each', 'loopback', turn, two['step_ms'], one['step_ms'],
                     round(ratios[-1], 3), exchange['alone_ms'], exchange['waited_ms'], exchange['hidden_percent']])
        print(*rows[-1], sep=',', flush=True)
    print(f'  median ratio {statistics.median(ratios):.3f}', flush=True)
    for mbit in SPEEDS:
        with Hosts(mbit) as hosts:
            for turn in range(1, options.rounds + 1):
                hidden = hosts.measure(options.binary, ['--batch', '16', *steps])
                apart = hosts.measure(options.binary, ['--batch', '16', '--no-overlap', *steps])
                exchange = hidden['exchange']
                ratio = round(apart['step_ms'] / hidden['step_ms'], 3)
                rows.append(['2 hosts, exchange hidden, beside not hidden', f'{mbit} Mbit/s', turn, hidden['step_ms'], apart['step_ms'],
                             ratio, exchange['alone_ms'], exchange['waited_ms'], exchange['hidden_percent']])
                print(*rows[-1], sep=',', flush=True)
    with open(options.out, 'w', newline='') as out:
        out.write(f'# {datetime.date.today()}, {processor()}, {os.cpu_count()} cores: imagenet18 bench step {" ".join(CASE)}\n')
        out.write('# step_ms of the first named, then of the other side; ratio: of images a second; exchange times are the first side\'s\n')
        writer = csv.writer(out, lineterminator='\n')
        writer.writerow(['what', 'link', 'round', 'step_ms', 'other_step_ms', 'ratio', 'exchange_alone_ms', 'exchange_waited_ms',
                         'hidden_percent'])
        writer.writerows(rows)


if __name__ == '__main__':
    main()
