#!/usr/bin/env python3
"""Proves that a change of the program changes none of its results by a bit.

    python3 scripts/unchanged/unchanged.py record --binary OLD [--torch-binary OLD_TORCH] --out FOLDER
    python3 scripts/unchanged/unchanged.py compare --binary NEW [--torch-binary NEW_TORCH] --with FOLDER

`record` goes through a fixed list of runs (`runs.py`) with a program and writes down what comes
out. `compare` goes through the same list with another program and names every difference: the run,
and the tensor, or the line and field of the metrics with both values, or the printed line. Its exit
code is 0 if nothing differs, 1 if something does, and 2 if the list could not be run. The whole
list takes about a quarter of an hour on two idle cores.

`--only WORD` takes the runs whose name contains the word. `--all` prints all differences of a run
instead of the first ten. `--torch-binary` names the program with libtorch's engine and ranks if
`--binary` is built without them. A record is made in an empty folder; `record --only` adds to one.

The runs:
* `imagenet18 demo` with two threads and with one, and the photos that it draws;
* training on oneDNN (fp32, bf16, and limited to the instructions of older CPUs) and on libtorch
  (fp32, bf16, fp16, fp16 with a dynamic loss scale), with rectangular validation; the same on two
  ranks, also with gradients exchanged in the type of the activations; 20 steps of ResNet-50;
* the flags that decide what is learnt, one by one; a new classifier on a trained network; damaged
  photos; two steps of the other networks; prepared shards, byte for byte, and training from them;
* a run that is killed with SIGKILL in the middle of two epochs and continued each time. It must
  also end as the undisturbed run `whole`;
* runs that the recording program left in the middle of an epoch (folders in FOLDER/kept), continued;
* `eval`, `predict`, `train --evaluate` and `export` on a final checkpoint of the recording program;
* `recipes`, the text and TOML of every preset, and the plan (`train --dry-run`) of every preset by
  its name and by the recorded TOML file.

What is compared:
* exit codes;
* every tensor of the final checkpoint (parameters, velocities, statistics), of `model.safetensors`
  and of `model_best.safetensors`: the SHA-256 of its bytes under its name. If a later program gives
  tensors other names, `RENAMED` in `results.py` maps them to the old names;
* every event of `metrics.jsonl` and every printed line, without times, rates, folders, versions and
  amounts of memory (`results.py` lists them). If a plan needs more or less memory, a note says so.

FOLDER holds `record.json` (command lines, exit codes, SHA-256s), the compared lines in `lines/`, the
photos, and in `kept/` what the recording program left. Kernels are chosen by the CPU, so `compare`
refuses a record of another CPU.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import results
import runs

LINES = ('metrics', 'text')

# Pairs of runs that must be equal in one and the same program.
EQUAL = [('whole', 'killed')]


def cpu():
    """The CPU, by everything that a choice of kernels may depend on."""
    first = Path('/proc/cpuinfo').read_text().split('\n\n')[0]
    values = dict(re.findall(r'^(.*?)\s*: (.*)$', first, re.MULTILINE))
    found = {key: values.get(key, 'unknown') for key in ('model name', 'cpu family', 'model', 'stepping')}
    return {**found, 'flags': results.sha256(values.get('flags', '').encode())[:16]}


def write(folder, record):
    """Writes a record: the lines as files, all else into record.json."""
    (folder / 'lines').mkdir(exist_ok=True)
    written = {**record, 'runs': {}}
    for name, result in record['runs'].items():
        entry = dict(result)
        for kind in LINES:
            text = ''.join(f'{line}\n' for line in entry.pop(kind))
            (folder / 'lines' / f'{name}.{kind}').write_text(text)
            entry[f'{kind}_sha256'] = results.sha256(text.encode())
        written['runs'][name] = entry
    (folder / 'record.json').write_text(json.dumps(written, indent=1) + '\n')


def read(folder):
    """A record of this CPU."""
    try:
        record = json.loads((folder / 'record.json').read_text())
    except (OSError, ValueError) as error:
        raise runs.Failure(f'{folder}: expected a record, got: {error}; make one with `record --out`') from error
    here = cpu()
    if record['cpu'] != here:
        raise runs.Failure(f'{folder}: expected a record of this CPU ({describe(here)}), got one of another '
                           f'({describe(record["cpu"])}); make one here with `record`')
    for name, result in record['runs'].items():
        for kind in LINES:
            text = (folder / 'lines' / f'{name}.{kind}').read_text()
            if results.sha256(text.encode()) != result.pop(f'{kind}_sha256'):
                raise runs.Failure(f'{folder}/lines/{name}.{kind}: its content is not what record.json says')
            result[kind] = text.splitlines()
    return record


def describe(one):
    return f'{one["model name"]}, family {one["cpu family"]}, model {one["model"]}, flags {one["flags"]}'


def run_all(session, chosen):
    """Runs the list; gives each name and its result as it comes."""
    for name, run in chosen.items():
        begun = time.monotonic()
        result = run(session, name)
        shutil.rmtree(session.work / name, ignore_errors=True)
        print(f'{name}: {time.monotonic() - begun:.1f} s', file=sys.stderr, flush=True)
        yield name, result


def unequal(found):
    """What differs between runs that must be equal."""
    pairs = [(one, other) for one, other in EQUAL if one in found and other in found]
    # Only one of them may have printed something.
    return [f'{other} is not as {one}: {line}' for one, other in pairs
            for line in results.differences({**found[one], 'text': []}, {**found[other], 'text': []})]


def record(session, folder, chosen):
    found = read(folder)['runs'] if (folder / 'record.json').exists() else {}
    for name, result in run_all(session, chosen):
        if result['exit'] != 0:
            raise runs.Failure(f'{name}: expected exit code 0, got {result["exit"]}: {result["said"]}')
        found[name] = result
        write(folder, {'cpu': cpu(), 'runs': found})
    apart = unequal(found)
    if apart:
        raise runs.Failure(apart[0])
    print(f'{len(chosen)} runs recorded in {folder}')
    return 0


def compare(session, folder, chosen, limit):
    before, found, count = read(folder)['runs'], {}, 0
    missing = [name for name in chosen if name not in before]
    if missing:
        raise runs.Failure(f'{folder}: expected a record of {missing[0]}, got none; record it with the '
                           'program of before')
    for name, result in run_all(session, chosen):
        found[name] = result
        differences = results.differences(before[name], result)
        for line in differences[:limit]:
            print(f'{name}: {line}', flush=True)
        if len(differences) > len(differences[:limit]):
            print(f'{name}: and {len(differences) - limit} more; --all shows them', flush=True)
        old, new = (max(one.get('memory', []), default=0) for one in (before[name], result))
        if old != new:
            print(f'note: {name}: the plan needs {old} bytes before, {new} now', flush=True)
        count += bool(differences)
    apart = unequal(found)
    print(*apart[:limit], sep='\n', end='\n' if apart else '')
    if count or apart:
        print(f'{count} of {len(found)} runs differ from {folder}')
        return 1
    print(f'{len(found)} runs, no difference to {folder}')
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=['record', 'compare'])
    parser.add_argument('--binary', required=True, type=Path, help='the program')
    parser.add_argument('--torch-binary', type=Path, help='the program for libtorch and ranks [default: the same]')
    parser.add_argument('--out', '--with', dest='folder', required=True, type=Path, help="the record's folder")
    parser.add_argument('--only', action='append', help='only runs whose name contains this (can be repeated)')
    parser.add_argument('--all', action='store_true', help='print all differences of a run, not the first ten')
    return parser.parse_args()


def main():
    options = arguments()
    binary = options.binary.resolve()
    torch_binary = (options.torch_binary or binary).resolve()
    recording = options.what == 'record'
    folder = options.folder.resolve()
    chosen = {name: run for name, run in runs.runs().items()
              if not options.only or any(word in name for word in options.only)}
    with tempfile.TemporaryDirectory(prefix='unchanged-') as work:
        try:
            if recording:
                folder.mkdir(parents=True, exist_ok=True)
            session = runs.Session(binary, torch_binary, folder, Path(work), recording)
            if recording:
                return record(session, folder, chosen)
            return compare(session, folder, chosen, None if options.all else 10)
        except (runs.Failure, OSError) as error:
            print(f'error: {error}', file=sys.stderr)
            return 2


if __name__ == '__main__':
    sys.exit(main())
