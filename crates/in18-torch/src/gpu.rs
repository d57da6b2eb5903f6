//! GPUs as this provider takes them, and their errors as those of kernels.

use in18_cuda::sys::Hooks;
use in18_cuda::{CudaError, Gpu};
use in18_kernels::KernelError;

use crate::sys::PROVIDER;
use crate::sys::torch;

/// Takes a GPU for this process. Results of libtorch's operations come to lie where they are planned on it, too.
pub fn open(number: u32, tf32: bool) -> Result<Gpu, KernelError> {
    let hooks = Hooks { place: torch().place_on_gpu, is_planned: torch().is_planned };
    // SAFETY: these are the hooks.
    unsafe { Gpu::open(number, tf32, &hooks) }.map_err(failed)
}

/// An error of a GPU as one of this provider.
pub fn failed(error: CudaError) -> KernelError {
    match error {
        CudaError::OutOfMemory => KernelError::Full { provider: PROVIDER },
        CudaError::Failed(status) => {
            KernelError::Library { provider: PROVIDER, operation: "its part for GPUs".to_owned(), status }
        }
    }
}
