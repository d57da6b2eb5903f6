//! The library for GPUs is complete, as far as a machine without a GPU can tell.

use std::process::Command;

use in18_cuda::gpus;
use in18_cuda::library::LIBRARY;
use in18_cuda::sys::Functions;
use in18_testkit::skip::{Lack, impossible, lacks};

fn readelf(arguments: &[&str], file: &str) -> String {
    let output = Command::new("readelf").args(arguments).arg(file).output().expect("readelf comes with the linker");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_library_asks_for_cuda_and_has_every_function() {
    if lacks(LIBRARY) {
        return;
    }
    let file = LIBRARY.find().expect("there").display().to_string();
    // A linker that drops libraries without used symbols would leave libtorch without GPU
    // operations.
    let needed = readelf(&["--dynamic", "--wide"], &file);
    for library in ["libtorch_cuda.so", "libc10_cuda.so", "libtorch_cpu.so", "libc10.so", "libcudart.so.13"] {
        assert!(needed.contains(&format!("Shared library: [{library}]")), "{library} is not asked for:\n{needed}");
    }
    let symbols = readelf(&["--dyn-syms", "--wide"], &file);
    let is_defined = |name: &str| {
        let mut lines = symbols.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.any(|columns| columns.last() == Some(&name) && columns.get(6).is_some_and(|section| *section != "UND"))
    };
    for function in Functions::NAMES {
        assert!(is_defined(function), "{function} is not there");
    }
    // There are kernels for every generation of GPUs.
    let sections = readelf(&["--sections", "--wide"], &file);
    assert!(sections.contains(".nv_fatbin"), "{sections}");
}

#[test]
fn whoever_has_no_gpu_is_told_in_one_line() {
    match gpus() {
        Ok(_) => impossible(Lack::AbsentGpu),
        Err(why) => {
            assert!(!why.contains('\n'), "{why}");
            assert!(
                why.contains("NVIDIA driver") || why.contains("cargo xtask setup --cuda") || why.contains("CUDA"),
                "{why}"
            );
        }
    }
}
