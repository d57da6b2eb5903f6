//! The operations of the loaded library.

use in18_kernels::KernelError;
use in18_libtorch::Operations;
pub use in18_libtorch::operations::*;

/// The provider's name in errors.
pub const PROVIDER: &str = "libtorch";

/// Loads the library.
///
/// # Errors
/// Why the library cannot be used.
pub fn load() -> Result<(), KernelError> {
    let failed = |status| KernelError::Library { provider: PROVIDER, operation: "being loaded".to_owned(), status };
    in18_libtorch::operations().map(|_| ()).map_err(|error| failed(error.to_string()))
}

/// The operations.
///
/// # Panics
/// If the library is not loaded. [`Torch`](crate::Torch) loads it before it has any memory or
/// tensors.
pub fn torch() -> &'static Operations {
    in18_libtorch::operations().expect("loaded with the provider")
}
