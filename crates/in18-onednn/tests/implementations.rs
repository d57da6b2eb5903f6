//! Checks that no operation falls through to oneDNN's plain loops: for every network, at all sizes
//! from 32 to 320 pixels in steps of 8 and some rectangles, in batches of 1 to 512, in every type,
//! in training and evaluation, on every instruction set that this CPU has. Plain loops take seconds
//! where vectorised code takes milliseconds, so one shape that falls through to them stops a run.
//!
//! Nothing is executed, and no code is generated: the provider is asked which implementations it
//! would use. oneDNN reads its limit of instructions once per process, so each instruction set has
//! a child process of its own.

use std::collections::{BTreeMap, HashSet};
use std::process::{Child, Command, Stdio};

use in18_kernels::{Kernels, Op};
use in18_onednn::{OneDnn, is_vectorised};
use in18_program::lower::{Arenas, lower};
use in18_program::{Arch, BlurPooling, Loss, Mode, ParameterTable, Size};
use in18_tensor::{ArenaId, DType, Shape};

/// The tested limits of oneDNN's instructions, by oneDNN's names, each with the name that the
/// provider then reports. A CPU that lacks a set computes with less. The widest has no limit.
const LIMITS: [(&str, &str); 4] =
    [("AVX2", "avx2"), ("AVX512_CORE", "avx512_core"), ("AVX512_CORE_BF16", "avx512_core_bf16"), ("ALL", "")];

/// Batches of small machines, and the largest batch of a published schedule.
const BATCHES: [usize; 7] = [1, 2, 8, 16, 32, 64, 512];

/// Heights and widths that rectangular validation has, and odd ones.
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

/// The number of ImageNet's classes.
const CLASSES: usize = 1000;

/// Other numbers of classes, which only the classifier's operations depend on.
const OTHER_CLASSES: [usize; 9] = [1, 2, 3, 7, 10, 37, 101, 365, 21_841];

/// Tells the child process that it is one.
const CHILD: &str = "IN18_IMPLEMENTATIONS_OF";

/// The shapes and types of the operands. An implementation depends on these and on attributes.
type Key = Op<(Shape, DType)>;

/// All sizes: squares, then rectangles.
fn sizes() -> impl Iterator<Item = [usize; 2]> {
    (32..=320).step_by(8).map(|side| [side, side]).chain(RECTANGLES)
}

/// For all programs of a type: how many different operations each implementation computes, and the
/// operations that are not vectorised with the implementations that compute them.
fn survey(provider: &mut OneDnn, dtype: DType) -> (BTreeMap<String, usize>, BTreeMap<String, String>) {
    let arenas = Arenas { parameters: ArenaId(0), gradients: ArenaId(1), statistics: ArenaId(2), work: ArenaId(3) };
    let (mut seen, mut counts, mut found) = (HashSet::new(), BTreeMap::new(), BTreeMap::new());
    let all_sizes: Vec<[usize; 2]> = sizes().collect();
    let blurred = [Arch::RESNET18, Arch::RESNET50].map(|arch| arch.with_blur_pool(BlurPooling::All));
    // All depths have the shapes of these two.
    let of_d = [Arch::RESNET18, Arch::RESNET50].map(Arch::as_d);
    let of_imagenet = Arch::all().chain(blurred).chain(of_d).map(|arch| (arch, CLASSES, &all_sizes[..]));
    let of_others =
        [Arch::RESNET18, Arch::RESNET50].map(|arch| OTHER_CLASSES.map(|classes| (arch, classes, &[[32; 2]][..])));
    for (arch, classes, sizes) in of_imagenet.chain(of_others.into_iter().flatten()) {
        let network = arch.network(classes);
        let tables = (ParameterTable::parameters(&network), ParameterTable::statistics(&network));
        for (&[height, width], batch) in sizes.iter().flat_map(|size| BATCHES.map(|batch| (size, batch))) {
            for mode in [Mode::Training, Mode::Evaluation] {
                let at = (mode, Size { batch, height, width });
                let lowered =
                    lower((&network, &Loss::default()), (&tables.0, &tables.1), at, dtype, provider, arenas).unwrap();
                let new: Vec<Op> = lowered.ops.into_iter().filter(|op| seen.insert(key(op))).collect();
                let names = provider.implementations(&new).unwrap();
                for (op, names) in new.iter().zip(names) {
                    if !names.iter().all(|name| is_vectorised(name)) {
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
            let pooling = ["MaxPool ", "AvgPool ", "AvgPoolBackward ", "BlurPool "];
            let others = ["Conv ", "ConvBackwardData ", "ConvBackwardWeight ", "ConvNorm ", "Linear "];
            for kind in pooling.into_iter().chain(others) {
                assert!(counts.keys().any(|name| name.starts_with(kind)), "no {kind}was looked at");
            }
            found.iter().for_each(|(op, implementation)| println!("UNVECTORISED {op}: {implementation}"));
        }
    }
    println!("DONE");
}

/// Starts the child process of a limit. All run at once, because none uses more than one thread.
fn start(limit: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("a test has a program"));
    command.args(["--exact", "every_operation_is_vectorised", "--nocapture"]);
    command.env(CHILD, limit).env("ONEDNN_MAX_CPU_ISA", limit).stdout(Stdio::piped());
    command.spawn().expect("a test's program can be started")
}

#[test]
fn every_operation_is_vectorised() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    // The narrowest limit comes first. Each later child must compute with more, unless this CPU has
    // no more.
    let mut widest = String::new();
    let children: Vec<_> = LIMITS.iter().map(|&(limit, name)| (limit, name, start(limit))).collect();
    for (limit, name, child) in children {
        let output = child.wait_with_output().expect("a child's output");
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{limit}: {output}");
        assert!(output.contains("DONE"), "{limit}: the child process ended early:\n{output}");
        // The limit must have been kept to. Otherwise each child would look at the same
        // instructions.
        let described =
            output.lines().find_map(|line| line.split_once(" on ")?.1.split(',').next()).unwrap_or_default();
        assert!(described == name || described == widest || name.is_empty(), "{limit}: computes with {described}");
        assert!(limit != "AVX2" || described == name, "{limit}: computes with {described}");
        widest = described.to_owned();
        assert!(!output.contains("UNVECTORISED"), "{limit}: some operations have plain loops only:\n{output}");
    }
}
