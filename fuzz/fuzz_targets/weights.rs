//! The readers of networks and checkpoints: never panic, each error is one line, and a tensor has as many
//! numbers as its shape says.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use in18_kernels::op::Window;
use in18_program::layers::{BatchNorm, Conv, GlobalAvgPool, Input, Linear};
use in18_program::{Arch, Network};
use in18_train::checkpoint::{Checkpoint, Tables};
use in18_weights::{Head, WeightFile, checksum};
use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;

/// A network so small that its checkpoint is a few kilobytes: what the corpus holds.
static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let window = Window { kernel: 3, stride: 2, padding: 1 };
    let mut network = Network::default();
    let input = network.push("input", Input, &[]);
    let conv = network.push("conv1", Conv { window, inputs: 3, outputs: 2 }, &[input]);
    let norm = network.push("bn1", BatchNorm { relu: true, ..BatchNorm::new(2) }, &[conv]);
    let mean = network.push("avgpool", GlobalAvgPool, &[norm]);
    network.push("fc", Linear { inputs: 2, outputs: 2 }, &[mean]);
    Tables::of_network(&network)
});

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // Past the checksum that no fuzzer gets right.
    let mut sealed = bytes.to_vec();
    if checksum::seal_bytes(&mut sealed) {
        read(&sealed);
    }
});

fn read(bytes: &[u8]) {
    let path = Path::new("any.safetensors");
    match WeightFile::parse(path, bytes.to_vec()) {
        Err(error) => one_line(&error),
        Ok(file) => {
            whole(&file, bytes);
            file.arch(None).err().iter().for_each(|error| one_line(error));
            for head in [Head::Keep, Head::Replace] {
                file.check(Arch::RESNET18, 2, head).err().iter().for_each(|error| one_line(error));
            }
        }
    }
    if let Err(error) = Checkpoint::parse(path, bytes, &TABLES) {
        one_line(&error);
    }
}

/// Every tensor of the network, by what the format's own reader says of it.
fn whole(file: &WeightFile, bytes: &[u8]) {
    for (name, tensor) in SafeTensors::deserialize(bytes).expect("a file that was read").tensors() {
        if name.starts_with("momentum_buffer.") {
            continue;
        }
        match file.values(name.strip_prefix("module.").unwrap_or(&name)) {
            Ok(values) => assert_eq!(values.len(), tensor.shape().iter().product::<usize>(), "{name:?}"),
            Err(error) => one_line(&error),
        }
    }
}

fn one_line(error: &dyn std::error::Error) {
    let text = error.to_string();
    assert!(!text.contains(['\n', '\r']), "{text:?}");
}
