//! The project's C++ code over libtorch. It is a library with a C interface, loaded at run time, so
//! that programs start without libtorch.
//!
//! `shim/` is the library's source: the [operations](Operations) on tensors, and what
//! [ranks](Ranks) need of c10d, PyTorch's distributed engine. `in18-torch-build` compiles it. The
//! two tables here are its C interface. `in18-torch` and `in18-comm` wrap them: they own tensors
//! and turn codes into errors.

use std::sync::OnceLock;

use in18_native::location::LIBTORCH;
use in18_native::{LibraryError, OwnLibrary, Source, digest, sources};

pub mod operations;
pub mod ranks;

pub use operations::Operations;
pub use ranks::Ranks;

/// Sources of every library over libtorch: how exceptions become codes, and the build's number.
pub const COMMON: &[Source] = sources!["shim/common.h", "shim/errors.cpp"];

/// The other sources of this library.
pub const SOURCES: &[Source] = sources![
    "shim/c10d.cpp",
    "shim/declared/gloo/algorithm.h",
    "shim/declared/gloo/common/error.h",
    "shim/declared/gloo/context.h",
    "shim/declared/gloo/rendezvous/store.h",
    "shim/declared/gloo/transport/device.h",
    "shim/ops.cpp",
    "shim/placement.cpp",
    "shim/placement.h",
    "shim/plain.cpp",
    "shim/tensors.cpp",
];

/// The library.
pub const LIBRARY: OwnLibrary = OwnLibrary {
    name: "in18_torch",
    build: digest(LIBTORCH.version, &[COMMON, SOURCES]),
    setup: "cargo xtask setup --torch",
};

/// The library's operations on tensors. The first call loads the library, which takes half a
/// second.
///
/// # Errors
/// Why the library cannot be used.
pub fn operations() -> Result<&'static Operations, LibraryError> {
    static TABLE: OnceLock<Result<Operations, LibraryError>> = OnceLock::new();
    // SAFETY: the library was built from this crate's sources, which define these functions.
    let load = || LIBRARY.load(|library| unsafe { Operations::load(library) });
    TABLE.get_or_init(load).as_ref().map_err(Clone::clone)
}

/// The library's functions for ranks. The first call loads the library.
///
/// # Errors
/// Why the library cannot be used.
pub fn ranks() -> Result<&'static Ranks, LibraryError> {
    static TABLE: OnceLock<Result<Ranks, LibraryError>> = OnceLock::new();
    // SAFETY: as for `operations`.
    let load = || LIBRARY.load(|library| unsafe { Ranks::load(library) });
    TABLE.get_or_init(load).as_ref().map_err(Clone::clone)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use in18_native::unlisted;

    use super::*;

    #[test]
    fn every_file_of_the_library_is_listed() {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(unlisted(home, &["shim"], &[COMMON, SOURCES]).unwrap(), Vec::<PathBuf>::new());
    }
}
