//! The kernel provider and the precision that a run gets.

use std::num::NonZeroUsize;

use in18_kernels::{KernelError, Kernels};
use in18_onednn::OneDnn;
use in18_tensor::DType;

use crate::cli::Precision;

/// A provider, and the type of activations that it computes in.
pub struct Engine {
    /// The provider.
    pub kernels: Box<dyn Kernels>,
    /// bf16 or fp32.
    pub dtype: DType,
}

/// Chooses the provider and resolves the precision against what it computes natively.
pub fn choose(precision: Precision, threads: Option<NonZeroUsize>) -> Result<Engine, KernelError> {
    let kernels = OneDnn::new(Some(threads.unwrap_or_else(cores).get()))?;
    let native = kernels.native(DType::Bf16);
    let dtype = match precision {
        Precision::Fp32 => DType::F32,
        Precision::Auto if !native => DType::F32,
        Precision::Auto | Precision::Bf16 => DType::Bf16,
    };
    if dtype == DType::Bf16 && !kernels.supports(dtype) {
        return Err(KernelError::Unsupported {
            provider: "oneDNN",
            what: format!("bf16 on this CPU ({})", kernels.describe()),
            remedy: "use --precision fp32",
        });
    }
    Ok(Engine { kernels: Box::new(kernels), dtype })
}

/// As many as there are cores that this process may use, container limits included.
pub fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
