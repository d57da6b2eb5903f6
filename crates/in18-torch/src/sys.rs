//! The library's operations, once it is loaded.

use in18_kernels::KernelError;
use in18_libtorch::Operations;
pub use in18_libtorch::operations::*;

/// The provider's name in errors.
pub const PROVIDER: &str = "libtorch";

/// Loads the library.
///
/// # Errors
/// Why it cannot be used.
pub fn load() -> Result<(), KernelError> {
    let failed = |status| KernelError::Library { provider: PROVIDER, operation: "being loaded".to_owned(), status };
    in18_libtorch::operations().map(|_| ()).map_err(|error| failed(error.to_string()))
}

/// The operations.
///
/// # Panics
/// If they are not loaded: [`Torch`](crate::Torch) does that before it has any memory, or tensor in it.
pub fn torch() -> &'static Operations {
    in18_libtorch::operations().expect("loaded with the provider")
}
