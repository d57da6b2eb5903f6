//! The library for GPUs and its emulator for the CPU: their sources, and how each is loaded, once.

use std::ffi::c_int;
use std::path::Path;
use std::sync::OnceLock;

use in18_libtorch::COMMON;
use in18_native::location::LIBTORCH;
use in18_native::{Library, LibraryError, OwnLibrary, Source, digest, sources};

use crate::error::check;
use crate::sys::Functions;

/// Sources of both libraries, beside [`COMMON`]: the kernels, and what calls them.
pub const SHARED: &[Source] = sources![
    "kernels/batch_norm.cu",
    "kernels/elementwise.cu",
    "kernels/kernels.h",
    "kernels/launch.cuh",
    "kernels/pool.cu",
    "kernels/sums.cuh",
    "kernels/vectors.cuh",
    "shim/device.cpp",
    "shim/device.h",
    "shim/interface.h",
    "shim/libtorch.h",
    "shim/operations.cpp",
];

/// Sources that need libtorch's part for GPUs.
pub const SOURCES: &[Source] = sources![
    "shim/declared/cublasLt.h",
    "shim/declared/cublas_v2.h",
    "shim/declared/cusolverDn.h",
    "shim/declared/cusolver_common.h",
    "shim/declared/cusparse.h",
    "shim/libtorch.cpp",
    "shim/nccl.cpp",
    "shim/placement.cpp",
    "shim/placement.h",
];

/// Sources that replace CUDA on the CPU, for tests.
pub const EMULATOR_SOURCES: &[Source] = sources![
    "emulator/c10/cuda/CUDAException.h",
    "emulator/emulated.h",
    "emulator/libtorch.cpp",
    "emulator/runtime.cpp",
    "emulator/runtime.h",
    "emulator/threads.cpp",
];

/// The library for GPUs.
pub const LIBRARY: OwnLibrary = OwnLibrary {
    name: "in18_cuda",
    build: digest(LIBTORCH.version, &[COMMON, SHARED, SOURCES]),
    setup: "cargo xtask setup --cuda",
};

/// The emulator: the same for the CPU, for tests.
pub const EMULATOR: OwnLibrary = OwnLibrary {
    name: "in18_cuda_emulator",
    build: digest(LIBTORCH.version, &[COMMON, SHARED, EMULATOR_SOURCES]),
    setup: "cargo xtask setup --cuda",
};

/// The NVIDIA driver's library.
const DRIVER: &str = "libcuda.so.1";

/// How many GPUs there are, or why none can be used.
///
/// Call it before anything else uses libtorch, which looks for its part for GPUs only once.
pub fn gpus() -> Result<u32, String> {
    let functions = functions()?;
    let mut count: c_int = 0;
    // SAFETY: `count` is a valid place.
    check(functions, unsafe { functions.count(&mut count) }, "counting GPUs").map_err(|error| error.to_string())?;
    Ok(u32::try_from(count).unwrap_or(0))
}

/// Whether an NVIDIA driver is installed.
pub fn has_driver() -> bool {
    // SAFETY: when a driver's library is loaded, it only initialises itself.
    unsafe { Library::open(Path::new(DRIVER)) }.is_ok()
}

/// The functions of the library for GPUs.
pub(crate) fn functions() -> Result<&'static Functions, String> {
    static TABLE: OnceLock<Result<Functions, String>> = OnceLock::new();
    let load = || match has_driver() {
        true => load(LIBRARY).map_err(|error| error.to_string()),
        false => Err(format!("no NVIDIA driver found ({DRIVER}): use --devices cpu")),
    };
    TABLE.get_or_init(load).as_ref().map_err(Clone::clone)
}

/// The functions of the emulator.
pub(crate) fn emulated() -> Result<&'static Functions, LibraryError> {
    static TABLE: OnceLock<Result<Functions, LibraryError>> = OnceLock::new();
    TABLE.get_or_init(|| load(EMULATOR)).as_ref().map_err(Clone::clone)
}

fn load(library: OwnLibrary) -> Result<Functions, LibraryError> {
    // SAFETY: the library was built from this crate's sources, which define these functions.
    library.load(|library| unsafe { Functions::load(library) })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use in18_native::unlisted;

    use super::*;

    #[test]
    fn every_file_of_the_libraries_is_listed() {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        let lists = [SHARED, SOURCES, EMULATOR_SOURCES];
        let unlisted = unlisted(home, &["kernels", "shim", "emulator"], &lists).unwrap();
        assert_eq!(unlisted, Vec::<PathBuf>::new());
    }
}
