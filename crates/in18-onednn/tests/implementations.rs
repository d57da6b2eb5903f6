//! Every operation that the program can be asked for runs on vector instructions: of every network, image size, batch and type,
//! in training and evaluation, on every instruction set that this CPU has. oneDNN's plain loops take seconds where arithmetic
//! takes milliseconds, so one shape that falls through to them stops a run.
//!
//! Nothing is executed, and no code is generated: the provider is asked what it would take. oneDNN reads its limit of
//! instructions once a process, so each set has a child process of its own.

use std::collections::{BTreeMap, HashSet};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use in18_kernels::{Kernels, Op};
use in18_onednn::OneDnn;
use in18_program::lower::{Arenas, lower};
use in18_program::{Arch, Mode, ParameterTable, Size};
use in18_tensor::{ArenaId, DType, Shape};

/// The limits of oneDNN's instructions that are tried, by its own names; a CPU that lacks one computes with less.
const LIMITS: [&str; 5] = ["AVX2", "AVX512_CORE", "AVX512_CORE_BF16", "AVX512_CORE_AMX", "ALL"];

const BATCHES: [usize; 6] = [1, 2, 8, 16, 32, 64];

/// Heights and widths as rectangular validation has them, and odd ones.
const RECTANGLES: [[usize; 2]; 20] = [
    [32, 64],
    [48, 32],
    [64, 96],
    [96, 72],
    [97, 131],
    [112, 160],
    [128, 96],
    [128, 168],
    [128, 320],
    [136, 128],
    [160, 224],
    [168, 128],
    [192, 144],
    [224, 176],
    [224, 288],
    [256, 224],
    [288, 224],
    [288, 384],
    [320, 256],
    [384, 288],
];

/// ImageNet's classes.
const CLASSES: usize = 1000;

/// Other numbers of classes, which only the classifier's operations depend on.
const OTHER_CLASSES: [usize; 9] = [1, 2, 3, 7, 10, 37, 101, 365, 21_841];

/// Tells the child process that it is one.
const CHILD: &str = "IN18_IMPLEMENTATIONS_OF";

/// How the names of vectorised implementations begin.
const VECTORISED: [&str; 6] = ["own:", "jit", "brg", "x64:jit", "x64:gemm:jit", "gemm:jit"];

/// The operands' shapes and types: what an implementation depends on, beside attributes.
type Key = Op<(Shape, DType)>;

/// All sizes: squares, then rectangles.
fn sizes() -> impl Iterator<Item = [usize; 2]> {
    (32..=320).step_by(8).map(|side| [side, side]).chain(RECTANGLES)
}

/// How many different operations of all programs of a type each implementation computes, and the operations that are not
/// vectorised, with what computes them.
fn survey(provider: &mut OneDnn, dtype: DType) -> (BTreeMap<String, usize>, BTreeMap<String, String>) {
    let arenas = Arenas { parameters: ArenaId(0), gradients: ArenaId(1), statistics: ArenaId(2), work: ArenaId(3) };
    let (mut seen, mut counts, mut found) = (HashSet::new(), BTreeMap::new(), BTreeMap::new());
    let all_sizes: Vec<[usize; 2]> = sizes().collect();
    let of_imagenet = Arch::ALL.map(|arch| (arch, CLASSES, &all_sizes[..]));
    let of_others =
        [Arch::Resnet18, Arch::Resnet50].map(|arch| OTHER_CLASSES.map(|classes| (arch, classes, &[[32; 2]][..])));
    for (arch, classes, sizes) in of_imagenet.into_iter().chain(of_others.into_iter().flatten()) {
        let network = arch.network(classes);
        let tables = (ParameterTable::parameters(&network), ParameterTable::statistics(&network));
        for (&[height, width], batch) in sizes.iter().flat_map(|size| BATCHES.map(|batch| (size, batch))) {
            for mode in [Mode::Training, Mode::Evaluation] {
                let at = (mode, Size { batch, height, width });
                let lowered = lower(&network, (&tables.0, &tables.1), at, dtype, provider, arenas).unwrap();
                let new: Vec<Op> = lowered.ops.into_iter().filter(|op| seen.insert(key(op))).collect();
                let names = provider.implementations(&new).unwrap();
                for (op, names) in new.iter().zip(names) {
                    let is_vectorised = |name: &String| VECTORISED.iter().any(|prefix| name.starts_with(prefix));
                    if !names.iter().all(is_vectorised) {
                        found.insert(format!("{} {dtype}", op.label()), names.join(" + "));
                    }
                    *counts.entry(format!("{} {}", op.name(), names.join(" + "))).or_insert(0) += 1;
                }
            }
        }
    }
    (counts, found)
}

fn key(op: &Op) -> String {
    let key: Key = op.map(|tensor| (tensor.shape, tensor.dtype));
    format!("{key:?}")
}

/// The child process: asks for every type that this limit of instructions allows.
fn child() {
    let mut provider = OneDnn::new(Some(2)).expect("oneDNN starts");
    println!("{}", provider.describe());
    for dtype in [DType::F32, DType::Bf16] {
        if provider.supports(dtype) {
            let (counts, found) = survey(&mut provider, dtype);
            println!("{} operations of {dtype}, {} not vectorised", counts.values().sum::<usize>(), found.len());
            counts.iter().for_each(|(implementation, count)| println!("{count:>8} {implementation}"));
            found.iter().for_each(|(op, implementation)| println!("UNVECTORISED {op}: {implementation}"));
        }
    }
    println!("DONE");
}

#[test]
fn every_operation_is_vectorised() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let (sender, limits) = mpsc::channel();
    LIMITS.into_iter().for_each(|limit| sender.send(limit).expect("the receiver is here"));
    drop(sender);
    let limits = std::sync::Mutex::new(limits);
    let work = || {
        let mut outputs = Vec::new();
        while let Ok(limit) = limits.lock().expect("no thread panics with it").recv() {
            let mut command = Command::new(std::env::current_exe().expect("a test has a program"));
            command.args(["--exact", "every_operation_is_vectorised", "--nocapture"]);
            command.env(CHILD, limit).env("ONEDNN_MAX_CPU_ISA", limit);
            let output = command.output().expect("a test's program can be started");
            outputs.push((limit, String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        outputs
    };
    let outputs: Vec<(&str, String)> = thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().expect("a child's output")).collect()
    });
    for (limit, output) in outputs {
        println!("{limit}: {output}");
        assert!(output.contains("DONE"), "{limit}: the child process ended early:\n{output}");
        assert!(!output.contains("UNVECTORISED"), "{limit}: some operations have plain loops only:\n{output}");
    }
}
