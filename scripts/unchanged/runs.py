"""The fixed list of runs: `runs()`. A run is a function of a `Session` that returns its result, as
`Session.result` makes it.

Each run says how many threads compute, so that its results do not depend on the number of cores.
"""

import json
import os
import shutil
import signal
import subprocess
import time

import results

# Epochs of 10, 14 and 14 steps over 320 photos. The last two end with a partial batch. In the second
# epoch the batch alone changes, in the third one the size.
PHASES = ("[{'ep':0,'sz':48,'bs':32},{'ep':(0,1),'lr':(0.02,0.05)},{'ep':1,'bs':24,'keep_dl':True},"
          "{'ep':(1,3),'lr':(0.05,0.005)},{'ep':2,'sz':64,'bs':24,'min_scale':0.4%s}]")
SQUARE, RECTANGULAR = PHASES % '', PHASES % ",'rect_val':True"
RANKS = ("[{'ep':0,'sz':48,'bs':16},{'ep':(0,2),'lr':(0.02,0.005)},"
         "{'ep':1,'sz':64,'bs':12,'min_scale':0.4,'rect_val':True}]")
# With --short-epoch.
TWENTY_STEPS = "[{'ep':0,'sz':128,'bs':8},{'ep':(0,2),'lr':(0.01,0.1)}]"
TWO_STEPS = "[{'ep':0,'sz':32,'bs':160},{'ep':(0,1),'lr':0.05}]"
SHARDS = ("[{'ep':0,'sz':32,'bs':24,'trndir':'-sz/48'},{'ep':(0,2),'lr':(0.02,0.01)},"
          "{'ep':1,'sz':64,'bs':24,'trndir':'','rect_val':True}]")

# The seed report's command line, as the original trainer took it.
ORIGINAL = ['/data/imagenet', '--fp16', '--logdir', './runs/lambda-blade', '--distributed', '--init-bn0', '--no-bn-wd',
            '--phases', "[{'ep': 0, 'sz': 128, 'bs': 512, 'trndir': '-sz/160'}, {'ep': (0, 7), 'lr': (1.0, 2.0)}, "
            "{'ep': (7, 13), 'lr': (2.0, 0.25)}, "
            "{'ep': 13, 'sz': 224, 'bs': 224, 'trndir': '-sz/320', 'min_scale': 0.087}, "
            "{'ep': (13, 22), 'lr': (0.4375, 0.043750000000000004)}, "
            "{'ep': (22, 25), 'lr': (0.043750000000000004, 0.004375)}, "
            "{'ep': 25, 'sz': 288, 'bs': 128, 'min_scale': 0.5, 'rect_val': True}, "
            "{'ep': (25, 28), 'lr': (0.0025, 0.00025)}]"]
PRESETS = {'seed-8gpu': 8, 'cloud-4gpu': 4, '1-machine': 8, '4-machines': 32, '8-machines': 64, '16-machines': 128}

ENGINES = {'onednn-fp32': ['--precision', 'fp32'], 'onednn-bf16': ['--precision', 'bf16'],
           'torch-fp32': ['--engine', 'torch', '--precision', 'fp32'],
           'torch-bf16': ['--engine', 'torch', '--precision', 'bf16'],
           'torch-fp16': ['--engine', 'torch', '--precision', 'fp16']}
BOTH_FLAGS = ['--init-bn0', '--no-bn-wd']
TWO_RANKS = ['--devices', 'cpu:2', '--phases', RANKS]
TWO_THREADS = ['--threads', '2', '-j', '2']
# Gradients overflow at the first scale, so the scale is halved until they do not.
DYNAMIC = [*ENGINES['torch-fp16'], '--loss-scale', 'dynamic:1e8', '--phases', RECTANGULAR, *BOTH_FLAGS]

# Runs that the recording program leaves unfinished. Their folders stay in the record, and every
# program continues them.
STOPPED = {'stopped-onednn-fp32': [*ENGINES['onednn-fp32'], '--phases', RECTANGULAR, *BOTH_FLAGS],
           'stopped-torch-fp16-dynamic': DYNAMIC,
           'stopped-two-ranks': [*ENGINES['onednn-fp32'], *TWO_RANKS, *BOTH_FLAGS]}

# Environment variables that are removed: a launcher's would turn a run into a rank, and the others
# choose kernels or threads.
UNWANTED = ('RANK', 'WORLD_SIZE', 'LOCAL_', 'MASTER_', 'SLURM_', 'OMP_', 'MKL_', 'ONEDNN_', 'DNNL_', 'ATEN_')


class Failure(Exception):
    """The list cannot be run as it is meant to be. One line."""


class Session:
    """The programs that run, the folder of the record, and a folder for what the runs write.

    Programs start in the folder of the record, so that metrics name the photos by a relative path.
    """

    def __init__(self, binary, torch_binary, record, work, recording):
        self.binary, self.torch_binary, self.record, self.work = binary, torch_binary, record, work
        self.recording = recording
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(UNWANTED)}
        # The first keeps GPUs out of it. The second matters on a busy machine, where a thread that
        # waits in a loop takes the time of the thread that it waits for.
        self.env.update(CUDA_VISIBLE_DEVICES='', OMP_WAIT_POLICY='passive')
        self.folders = {work: 'WORK', record: 'RECORD', binary: 'imagenet18', torch_binary: 'imagenet18'}

    def command(self, arguments):
        """The command line, with the program that has libtorch's engine and ranks where it takes one."""
        needs_torch = 'torch' in arguments or 'cpu:2' in arguments
        return [str(self.torch_binary if needs_torch else self.binary), *map(str, arguments)]

    def call(self, *arguments, isa=None):
        """Runs a command to its end, with oneDNN limited to an instruction set if one is given."""
        env = {**self.env, 'ONEDNN_MAX_CPU_ISA': isa} if isa else self.env
        return subprocess.run(self.command(arguments), cwd=self.record, env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def result(self, arguments, done, tensors=None, metrics=(), text=()):
        """What is recorded: command line, exit code, last line of an error, tensors by file, lines."""
        said = done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr.strip() else ''
        return {'command': [results.plain(str(argument), self.folders) for argument in ['imagenet18', *arguments]],
                'exit': done.returncode, 'said': said, 'tensors': tensors or {}, 'metrics': list(metrics),
                'text': list(text)}

    def trained(self, arguments, done, logdir, text=()):
        """The result of a training run that wrote into a folder."""
        files = {name: logdir / f'{name}.safetensors' for name in ('model', 'model_best')}
        checkpoints = sorted(logdir.glob('checkpoints/*.safetensors'))
        files.update({'checkpoint': checkpoints[-1]} if checkpoints else {})
        tensors = {name: results.tensors(file) for name, file in files.items() if file.exists()}
        metrics = logdir / 'metrics.jsonl'
        metrics = results.metrics(metrics, self.folders) if metrics.exists() else []
        return self.result(arguments, done, tensors, metrics, text)


def train_arguments(logdir, flags, data='photos/small'):
    """`train` with the flags that most runs share, unless a run has its own."""
    usual = {'--arch': 'resnet18', '--threads': '1', '-j': '1', '--phases': SQUARE}
    usual = [word for flag, value in usual.items() if flag not in flags for word in (flag, value)]
    return ['train', data, '--logdir', logdir, *usual, '--best-top5', '1', *flags]


def train(flags, data='photos/small', isa=None):
    """A training run, left alone; `isa` is the best instruction set that oneDNN may use."""
    def run(session, name):
        logdir = session.work / name
        arguments = train_arguments(logdir, flags, data)
        result = session.trained(arguments, session.call(*arguments, isa=isa), logdir)
        if isa:
            result['command'].insert(0, f'ONEDNN_MAX_CPU_ISA={isa}')
        return result
    return run


def demo(threads):
    """`imagenet18 demo`, and the photos that it draws. The recording program's photos serve all runs."""
    def run(session, name):
        folder = session.work / 'demo'
        arguments = ['demo', '--dir', folder, '--threads', threads]
        for old in folder.glob('run-*'):
            shutil.rmtree(old)
        done = session.call(*arguments)
        if session.recording:
            choose_photos(folder / 'photos', session.record / 'photos')
        photos = sorted(folder.glob('photos/*/*/*'))
        lines = [f'{photo.relative_to(folder)} {results.sha256(photo.read_bytes())}' for photo in photos]
        logdirs = sorted(folder.glob('run-*'))
        return session.trained(arguments, done, logdirs[-1] if logdirs else folder, text=lines)
    return run


def choose_photos(every, chosen):
    """32 training and 10 validation photos of each class, and the same with two files cut short."""
    if chosen.exists():
        return
    for half, count in (('train', 32), ('validation', 10)):
        for label in sorted((every / half).iterdir()):
            for folder in ('small', 'damaged'):
                (chosen / folder / half / label.name).mkdir(parents=True)
                for photo in sorted(label.iterdir())[:count]:
                    shutil.copy(photo, chosen / folder / half / label.name)
    for half in ('train', 'validation'):
        photo = sorted((chosen / 'damaged' / half).glob('*/*'))[5]
        photo.write_bytes(photo.read_bytes()[:200])


def start_and_stop(session, arguments, logdir, number, epoch):
    """Starts a run that saves a checkpoint after each step, and sends it a signal in the middle of an
    epoch; its exit code."""
    often = ['--checkpoint-minutes', '1e-9', '--keep', '3']
    program = subprocess.Popen(session.command([*arguments, *often]), cwd=session.record, env=session.env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not is_inside(logdir / 'metrics.jsonl', epoch):
        if program.poll() is not None:
            line = ' '.join(map(str, arguments))
            raise Failure(f'`{line}` ended with {program.returncode} before it could be stopped')
        time.sleep(0.005)
    program.send_signal(number)
    return program.wait()


def is_inside(metrics, epoch):
    """Whether there is a checkpoint of the third step of an epoch or a later one."""
    if not metrics.exists():
        return False
    lines = [line for line in metrics.read_text().splitlines() if '"checkpoint"' in line and line.endswith('}')]
    return any(event['epoch'] == epoch and event['step'] >= 3 for event in map(json.loads, lines))


def whole(session, name):
    """A run that is left alone, for `killed`; its text is the curves that `dawn` reads out of its
    TensorBoard events."""
    logdir = session.work / name
    arguments = train_arguments(logdir, STOPPED['stopped-onednn-fp32'])
    done = session.call(*arguments)
    text = [f'{curve}: {line}' for curve in ('lr', 'batch', 'size')
            for line in session.call('dawn', curve, '--events', logdir).stdout.splitlines()]
    if session.recording:
        (session.record / 'kept').mkdir(exist_ok=True)
        last = sorted(logdir.glob('checkpoints/*.safetensors'))[-1]
        shutil.copy(last, session.record / 'kept/final.safetensors')
    return session.trained(arguments, done, logdir, text)


def killed(session, name):
    """The same run, killed in the middle of two epochs and continued each time."""
    logdir = session.work / name
    arguments = [*train_arguments(logdir, STOPPED['stopped-onednn-fp32']), '--resume', 'auto']
    for epoch in (1, 2):
        start_and_stop(session, arguments, logdir, signal.SIGKILL, epoch)
    return session.trained(arguments, session.call(*arguments), logdir)


def resumed(kept, flags=None):
    """Goes on to the end from a run that the recording program left in the middle of an epoch; with
    other flags if some are given."""
    def run(session, name):
        folder, logdir = session.record / 'kept' / kept, session.work / name
        if session.recording and not folder.exists():
            arguments = train_arguments(logdir, STOPPED[kept])
            code = start_and_stop(session, arguments, logdir, signal.SIGTERM, 1)
            if code != 143:
                raise Failure(f'{name}: expected exit code 143 after SIGTERM, got {code}')
            for old in sorted(logdir.glob('checkpoints/*.safetensors'))[:-1]:
                old.unlink()
            folder.parent.mkdir(exist_ok=True)
            shutil.move(logdir, folder)
        shutil.copytree(folder, logdir)
        arguments = [*train_arguments(logdir, flags or STOPPED[kept]), '--resume', 'auto']
        return session.trained(arguments, session.call(*arguments), logdir)
    return run


def printed(*arguments, as_json=True):
    """A command that prints its results."""
    def run(session, name):
        done = session.call(*arguments)
        lines = results.json_lines if as_json else results.text_lines
        return session.result(arguments, done, text=lines(done.stdout, session.folders))
    return run


def evaluated(*flags):
    return printed('eval', 'photos/small', '--checkpoint', 'kept/final.safetensors', '--size', '64', '--batch', '32',
                   '--threads', '1', '--json', *flags)


def predicted(*flags):
    return printed('predict', 'photos/small/validation/arrow', '--checkpoint', 'kept/final.safetensors', '--size', '64',
                   '--top', '3', '--threads', '1', '--json', *flags)


def validated(session, name):
    """`train --evaluate`."""
    flags = [*STOPPED['stopped-onednn-fp32'], '--resume', 'kept/final.safetensors', '--evaluate']
    arguments = train_arguments(session.work / name, flags)
    done = session.call(*arguments)
    return session.result(arguments, done, text=results.text_lines(done.stdout, session.folders))


def exported(session, name):
    """The network as ONNX and as safetensors."""
    files = [session.work / f'{name}.{extension}' for extension in ('onnx', 'safetensors')]
    for file in files:
        arguments = ['export', '--checkpoint', 'kept/final.safetensors', '--out', file]
        done = session.call(*arguments)
    onnx, safetensors = files
    text = [f'onnx {results.sha256(onnx.read_bytes())}'] if onnx.exists() else []
    tensors = {'export': results.tensors(safetensors)} if safetensors.exists() else {}
    return session.result(arguments, done, tensors, text=text)


def shards(session, name):
    """Photos packed into shards at two sizes, what is known of them, and training from them."""
    sets, logdir = session.work / name / 'set', session.work / name / 'run'
    prepared = session.call('data', 'prepare', 'photos/small', sets, '--sizes', '48,full', '--shard-images', '100',
                            '--threads', '2')
    files = sorted(file for file in (session.work / name).rglob('*') if file.is_file())
    text = [f'{file.relative_to(session.work)} {results.sha256(file.read_bytes())}' for file in files]
    for what in (['info', sets, '--json'], ['verify', sets]):
        text += session.call('data', *what, '--threads', '2').stdout.splitlines()
    text = results.text_lines('\n'.join(text), session.folders)
    flags = ['--shuffle', 'window', '--drop-last', '--precision', 'fp32', '--phases', SHARDS]
    arguments = train_arguments(logdir, flags, sets)
    done = session.call(*arguments) if prepared.returncode == 0 else prepared
    return session.trained(arguments, done, logdir, text)


def planned(*arguments):
    """A plan: the table that people read, the JSON, and what is said beside."""
    arguments = ['train', *arguments, '--dry-run', '--images', '1281167', '--threads', '2']

    def run(session, name):
        if '--recipe' in arguments and session.recording:
            keep_recipe(session, name)
        done, as_json = session.call(*arguments), session.call(*arguments, '--json')
        text = results.plan_lines(done.stdout, session.folders) + results.json_lines(as_json.stdout, session.folders)
        text += [f'beside: {line}' for line in results.text_lines(done.stderr, session.folders)]
        memory = [json.loads(line)['device_bytes'] for line in as_json.stdout.splitlines()]
        return {**session.result(arguments, done, text=text), 'memory': memory}
    return run


def keep_recipe(session, name):
    """The recording program's TOML file of a preset, which every program must read."""
    (session.record / 'kept').mkdir(exist_ok=True)
    preset = name.removeprefix('plan-').removesuffix('-from-toml')
    shown = session.call('recipes', preset, '--toml').stdout
    (session.record / f'kept/{preset}.toml').write_text(shown)


def runs():
    """Every run by name, in the order in which they take place."""
    found = {'demo-2-threads': demo('2'), 'demo-1-thread': demo('1'), 'whole': whole, 'killed': killed}
    for name, flags in ENGINES.items():
        found[name] = train([*flags, *TWO_THREADS, '--phases', RECTANGULAR, *BOTH_FLAGS])
        resnet50 = ['--arch', 'resnet50', *TWO_THREADS, '--short-epoch', '--phases', TWENTY_STEPS, *BOTH_FLAGS]
        found[f'resnet50-{name}'] = train([*resnet50, *flags])
        found[f'ranks-{name}'] = train([*flags, *TWO_RANKS, *BOTH_FLAGS])
    for name in ('onednn-bf16', 'torch-fp16'):
        found[f'ranks-{name}-exchanged-as-computed'] = train([*ENGINES[name], *TWO_RANKS, '--gradients', 'compute'])
    found['torch-fp16-dynamic'] = train(DYNAMIC)
    fp32, bf16 = ENGINES['onednn-fp32'], ENGINES['onednn-bf16']
    # Older CPUs have other kernels; bf16 is emulated without its instructions.
    for isa, flags in (('avx2', fp32), ('avx512_core', fp32), ('avx512_core', bf16)):
        name = f'limited-to-{isa}-{flags[-1]}'
        found[name] = train([*flags, '--phases', RECTANGULAR, *BOTH_FLAGS], isa=isa.upper())
        found[f'resnet50-{name}'] = train([*resnet50, *flags], isa=isa.upper())
    found['plain-flags'] = train(fp32)
    found['init-bn0'] = train([*fp32, '--phases', TWO_STEPS, '--init-bn0'])
    found['no-bn-wd'] = train([*fp32, '--phases', TWO_STEPS, '--no-bn-wd'])
    numbers = ['--momentum', '0.8', '--weight-decay', '5e-4', '--seed', '7', '--short-epoch']
    found['other-numbers'] = train([*fp32, *numbers])
    found['new-head'] = train([*fp32, '--phases', TWO_STEPS, '--init', 'kept/final.safetensors', '--new-head'])
    found['damaged'] = train(fp32, 'photos/damaged')
    for arch in ('resnet34', 'resnet101', 'resnet152'):
        found[arch] = train([*fp32, '--arch', arch, '--phases', TWO_STEPS])
    found['shards'] = shards
    found.update({f'resumed-{kept}': resumed(kept) for kept in STOPPED})
    found['resumed-stopped-two-ranks-by-one'] = resumed('stopped-two-ranks', [*fp32, '--phases', RANKS, *BOTH_FLAGS])
    for name, flags in ENGINES.items():
        found.update({f'eval-{name}': evaluated(*flags), f'eval-rect-{name}': evaluated('--rect', *flags),
                      f'eval-flip-{name}': evaluated('--tta', 'flip', *flags), f'predict-{name}': predicted(*flags)})
    found.update({'validated': validated, 'exported': exported})
    found['recipes'] = printed('recipes', as_json=False)
    found['plan-original'] = planned(*ORIGINAL, '--world', '8')
    for preset, world in PRESETS.items():
        found[f'recipe-{preset}'] = printed('recipes', preset, as_json=False)
        found[f'recipe-{preset}-toml'] = printed('recipes', preset, '--toml', as_json=False)
        found[f'plan-{preset}'] = planned('--recipe', preset, '--world', world)
        found[f'plan-{preset}-from-toml'] = planned('--recipe', f'kept/{preset}.toml', '--world', world)
    return found
