#!/usr/bin/env python3
"""Measures `imagenet18 bench loader` beside the loaders of torchvision, DALI and FFCV, in turn, and writes a CSV:

    python3 loader.py --peer loader_peers.py --python PEERS/bin/python --photos DIR --large DIR --work DIR --out FILE.csv

PHOTOS holds train/CLASS/*; LARGE holds photos of original size, which only torchvision is asked for. Shards are prepared from
PHOTOS in WORK first: of the photos' own size, and of short sides a quarter longer than the batch's, 160 and 280 pixels. All read from the page cache: a pass is thrown away. A case's
ratio is the median of its rounds' ratios. Nothing else may run on the machine meanwhile.
"""
import argparse
import csv
import datetime
import os
import statistics
import subprocess
import sys

from step import last_line, processor

PEERS = ['torchvision', 'dali', 'ffcv']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--peer', required=True, help="the peers' script")
    parser.add_argument('--python', default=sys.executable, help='what runs it')
    parser.add_argument('--binary', default='target/release/imagenet18')
    parser.add_argument('--photos', required=True)
    parser.add_argument('--large')
    parser.add_argument('--work', required=True)
    parser.add_argument('--only', action='append', help='a peer; may be repeated; default: all three')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', default='2')
    parser.add_argument('--out', required=True)
    o = parser.parse_args()

    packed = os.path.join(o.work, 'packed')
    prepare = [o.binary, 'data', 'prepare', o.photos, packed, '--sizes', '160,280,full']
    subprocess.run(prepare, check=True, stdout=subprocess.DEVNULL)
    plain = os.path.join(o.photos, 'train')
    ours = {'folder': plain, 'shards': f'{packed}/train', 'shards of 160 px': f'{packed}-sz/160/train',
            'shards of 280 px': f'{packed}-sz/280/train'}

    def rate(command):
        return last_line([*command, '--threads', o.threads])['images_per_s']

    def our_rate(folder, size, threads=o.threads):
        command = [o.binary, 'bench', 'loader', folder, '--size', size, '--json', '--passes', '2', '--threads', threads]
        return last_line(command)['images_per_s']

    def peer_rate(peer, folder, size):
        return rate([o.python, o.peer, peer, folder, '--size', size, '--cache', os.path.join(o.work, 'ffcv')])

    rows = []

    def compare(size, folders, peers, peers_folder):
        cases = {}
        for turn in range(1, o.rounds + 1):
            mine = {name: our_rate(folder, size) for name, folder in folders.items()}
            theirs = {peer: peer_rate(peer, peers_folder, size) for peer in peers}
            for name, own in mine.items():
                for peer, other in theirs.items():
                    rows.append([size, name, peer, turn, own, other, round(own / other, 3)])
                    cases.setdefault((name, peer), []).append(own / other)
                    print(*rows[-1], sep=',', flush=True)
        for (name, peer), ratios in cases.items():
            print(f'  {size} px, {name} / {peer}: median ratio {statistics.median(ratios):.2f}', flush=True)

    compare('128', {name: folder for name, folder in ours.items() if '280' not in name}, o.only or PEERS, plain)
    compare('224', {name: folder for name, folder in ours.items() if '160' not in name}, o.only or PEERS, plain)
    if o.large:
        # Class folders, as torchvision wants them.
        large = os.path.join(o.work, 'large')
        os.makedirs(large, exist_ok=True)
        if not os.path.lexists(os.path.join(large, 'photos')):
            os.symlink(os.path.abspath(o.large), os.path.join(large, 'photos'))
        compare('128', {'large photos in a folder': large}, ['torchvision'], large)
    for folder in ours:
        scaling = []
        for turn in range(1, o.rounds + 1):
            one, two = (our_rate(ours[folder], '128', threads) for threads in ['1', '2'])
            rows.append(['128', folder, 'itself on one thread', turn, two, one, round(two / one, 3)])
            scaling.append(two / one)
            print(*rows[-1], sep=',', flush=True)
        print(f'  {folder}: two threads / one: median ratio {statistics.median(scaling):.2f}', flush=True)
    with open(o.out, 'w', newline='') as out:
        out.write(f'# {datetime.date.today()}, {processor()}, {o.threads} threads; photos in the page cache, both sides in turn\n')
        out.write('# imagenet18 bench loader DIR --size SIZE --threads N --json --passes 2, and '
                  'loader_peers.py PEER DIR --size SIZE --threads N\n')
        writer = csv.writer(out, lineterminator='\n')
        writer.writerow(['size', 'ours', 'peer', 'round', 'ours_images_per_s', 'peer_images_per_s', 'ratio'])
        writer.writerows(rows)


if __name__ == '__main__':
    main()
