"""What a run leaves behind, as values that two programs can be compared by.

Tensors become a SHA-256 each; metrics and printed text become lines. Two runs of one program may
differ in times, rates, folders, versions and amounts of memory. These are left out here and nowhere
else: see `TIMELESS_FIELDS`, `is_by_the_clock` and `plain`.
"""

import hashlib
import json
import re
import struct

# A later program may give a tensor of a checkpoint another name. Each pair here is a pattern for the
# whole new name and the old name, as `re.sub` takes them, for example
# (r'velocity/(.+)', r'momentum_buffer.\1'). `compare` points out a missing pair: it names the new
# tensor that has the bytes of the old one.
RENAMED = []

# Fields of an event that hold times, rates, amounts of memory or the paths of files. Fields whose name
# ends with `seconds` are left out, too.
TIMELESS_FIELDS = {'unix', 'hours', 'images_per_s', 'network', 'memory', 'peak_rss_bytes', 'advice',
                   'path', 'device_bytes'}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tensors(path):
    """The tensors of a safetensors file: name -> type, shape and SHA-256 of the bytes."""
    with open(path, 'rb') as file:
        header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
        begin, found = file.tell(), {}
        for name, entry in header.items():
            if name == '__metadata__':
                continue
            first, last = entry['data_offsets']
            file.seek(begin + first)
            shape = 'x'.join(map(str, entry['shape']))
            found[original_name(name)] = f'{entry["dtype"]} [{shape}] {sha256(file.read(last - first))}'
    return found


def original_name(name):
    for pattern, before in RENAMED:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, before, name)
    return name


def metrics(path, folders):
    """The events of a metrics.jsonl without times, one JSON text an event."""
    with open(path) as file:
        events = [json.loads(line) for line in file]
    events = [timeless(event) for event in events if not is_by_the_clock(event)]
    return [plain(json.dumps(event, sort_keys=True), folders) for event in events]


def is_by_the_clock(event):
    """Whether the clock decides if and when an event comes.

    Checkpoints are written every ten minutes, by a thread of their own. Where a killed run goes on
    depends on the moment of the kill. A first step of more than ten seconds brings a warning.
    """
    is_slow = event['event'] == 'warning' and event['text'].startswith('the first step with ')
    return event['event'] in ('checkpoint', 'resumed') or is_slow


def timeless(value):
    if isinstance(value, dict):
        kept = {key: timeless(item) for key, item in value.items()
                if key not in TIMELESS_FIELDS and not key.endswith('seconds')}
        if 'engine' in kept:
            kept['engine'] = re.sub(r'\d+(\.\d+)+', 'VERSION', kept['engine'])
        return kept
    return [timeless(item) for item in value] if isinstance(value, list) else value


def json_lines(text, folders):
    """Printed JSON objects, one a line, without what differs from run to run."""
    return [plain(json.dumps(timeless(json.loads(line)), sort_keys=True), folders) for line in text.splitlines()]


def plain(text, folders):
    """A text without the names of folders."""
    for path, name in folders.items():
        text = text.replace(str(path), name)
    return text


def text_lines(text, folders):
    return plain(text, folders).splitlines()


def plan_lines(text, folders):
    """The table of `train --dry-run` without its amounts of memory."""
    lines = re.sub(r'each device: \d+ MiB', 'each device: MEMORY', plain(text, folders)).splitlines()
    row = re.compile(r'( *\d+ .*?) +\d+(  "[^"]*", "[^"]*")')
    return [row.sub(r'\1  MEMORY\2', line) if row.fullmatch(line) else line for line in lines]


def differences(before, after):
    """What differs between two results of one run, a line each."""
    found = []
    if before['exit'] != after['exit']:
        said = f' ({after["said"]})' if after.get('said') else ''
        found.append(f'exit code: {before["exit"]} before, {after["exit"]} now{said}')
    for file in sorted(before['tensors'].keys() | after['tensors'].keys()):
        found += of_tensors(file, before['tensors'].get(file, {}), after['tensors'].get(file, {}))
    for kind, compare in (('metrics', of_metrics), ('text', of_text)):
        if before[kind] != after[kind]:
            found += compare(before[kind], after[kind])
    return found


def of_tensors(file, before, after):
    found, unclaimed = [], {stored: name for name, stored in after.items() if name not in before}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old is None:
            found.append(f'{file}: tensor {name} is new: {short(new)}')
        elif new is None:
            again = f'; {unclaimed[old]} has its bytes: a pair for RENAMED?' if old in unclaimed else ''
            found.append(f'{file}: tensor {name} is gone{again}')
        else:
            found.append(f'{file}: tensor {name}: {short(old)} before, {short(new)} now')
    return found


def short(stored):
    kind, shape, digest = stored.split(' ')
    return f'{kind} {shape} {digest[:12]}'


def of_metrics(before, after):
    """Each field of each event that differs."""
    found = []
    for line, (old, new) in enumerate(zip(before, after), 1):
        if old == new:
            continue
        old, new = json.loads(old), json.loads(new)
        name = ' '.join([f'line {line}', *[f'{key} {old[key]}' for key in ('event', 'epoch', 'step') if key in old]])
        for field in sorted(old.keys() | new.keys()):
            one, other = (json.dumps(event[field]) if field in event else 'nothing' for event in (old, new))
            if one != other:
                found.append(f'metrics: {name}: {field} {one} before, {other} now')
        if old['event'] != new['event']:
            # Whatever follows is out of step.
            found.append(f'metrics: events are others from line {line} on')
            break
    if len(before) != len(after):
        found.append(f'metrics: {len(before)} events before, {len(after)} now')
    return found


def of_text(before, after):
    found = [f'text: line {line}: {old!r} before, {new!r} now'
             for line, (old, new) in enumerate(zip(before, after), 1) if old != new]
    if len(before) != len(after):
        rest = before[len(after):] or after[len(before):]
        found.append(f'text: {len(before)} lines before, {len(after)} now; the first of the others: {rest[0]!r}')
    return found
