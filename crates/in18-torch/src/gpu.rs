//! Opens GPUs for this provider, and turns their errors into kernel errors.

use in18_cuda::sys::Hooks;
use in18_cuda::{CudaError, Gpu};
use in18_kernels::KernelError;

use crate::sys::PROVIDER;
use crate::sys::torch;

/// Opens a GPU for this process, on which libtorch's results lie where the program planned them,
/// too.
pub fn open(number: u32, tf32: bool) -> Result<Gpu, KernelError> {
    let hooks = Hooks { place: torch().place_on_gpu, is_planned: torch().is_planned };
    // SAFETY: these are the hooks of `in18-libtorch`'s operations.
    unsafe { Gpu::open(number, tf32, &hooks) }.map_err(failed)
}

/// Turns a GPU's error into an error of this provider.
pub fn failed(error: CudaError) -> KernelError {
    match error {
        CudaError::OutOfMemory => KernelError::Full { provider: PROVIDER },
        CudaError::Failed(status) => {
            KernelError::Library { provider: PROVIDER, operation: "its part for GPUs".to_owned(), status }
        }
    }
}
