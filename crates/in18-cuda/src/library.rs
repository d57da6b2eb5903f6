//! The library for GPUs, and its like for the CPU: what they are made of, and how they are loaded, once.

use std::ffi::c_int;
use std::path::Path;
use std::sync::OnceLock;

use in18_libtorch::COMMON;
use in18_native::location::LIBTORCH;
use in18_native::{Library, LibraryError, OwnLibrary, Source, digest, sources};

use crate::error::check;
use crate::sys::Functions;

/// What both libraries are made of beside what all over libtorch have: the kernels, and what calls them.
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

/// What asks libtorch's part for GPUs.
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

/// What stands in place of CUDA on the CPU, for tests.
pub const EMULATOR_SOURCES: &[Source] = sources![
    "emulator/c10/cuda/CUDAException.h",
    "emulator/emulated.h",
    "emulator/libtorch.cpp",
    "emulator/runtime.cpp",
    "emulator/runtime.h",
    "emulator/threads.cpp",
];

/// What GPUs need, be there any or not.
pub const LIBRARY: OwnLibrary = OwnLibrary {
    name: "in18_cuda",
    build: digest(LIBTORCH.version, &[COMMON, SHARED, SOURCES]),
    setup: "cargo xtask setup --cuda",
};

/// The same for the CPU, for tests.
pub const EMULATOR: OwnLibrary = OwnLibrary {
    name: "in18_cuda_emulator",
    build: digest(LIBTORCH.version, &[COMMON, SHARED, EMULATOR_SOURCES]),
    setup: "cargo xtask setup --cuda",
};

/// The driver's own library.
const DRIVER: &str = "libcuda.so.1";

/// How many GPUs there are, or why none can be used.
///
/// Before any other use of libtorch: it looks for its part for GPUs once.
pub fn gpus() -> Result<u32, String> {
    let functions = functions()?;
    let mut count: c_int = 0;
    // SAFETY: the place is valid.
    check(functions, unsafe { functions.count(&mut count) }, "counting GPUs").map_err(|error| error.to_string())?;
    Ok(u32::try_from(count).unwrap_or(0))
}

/// Whether an NVIDIA driver is installed.
pub fn has_driver() -> bool {
    // SAFETY: a driver's library does nothing when it is loaded but prepare itself.
    unsafe { Library::open(Path::new(DRIVER)) }.is_ok()
}

/// The library's functions.
pub(crate) fn functions() -> Result<&'static Functions, String> {
    static TABLE: OnceLock<Result<Functions, String>> = OnceLock::new();
    let load = || match has_driver() {
        true => load(LIBRARY).map_err(|error| error.to_string()),
        false => Err(format!("no NVIDIA driver found ({DRIVER}): use --devices cpu")),
    };
    TABLE.get_or_init(load).as_ref().map_err(Clone::clone)
}

/// Those of the emulator.
pub(crate) fn emulated() -> Result<&'static Functions, LibraryError> {
    static TABLE: OnceLock<Result<Functions, LibraryError>> = OnceLock::new();
    TABLE.get_or_init(|| load(EMULATOR)).as_ref().map_err(Clone::clone)
}

fn load(library: OwnLibrary) -> Result<Functions, LibraryError> {
    // SAFETY: the library is made of the very sources that this crate has, which define the functions so.
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
