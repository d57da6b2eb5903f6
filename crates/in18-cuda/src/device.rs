//! GPUs as owned values.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use crate::error::{CudaError, check};
use crate::library::{emulated, functions};
use crate::sys::{self, Allocate, Functions, Hooks, RawDevice, RawMemory};

/// A GPU in use.
pub struct Gpu {
    functions: &'static Functions,
    raw: *mut RawDevice,
    description: String,
    capability: (u32, u32),
}

/// Bytes of a GPU's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that this process uses.
    pub allocated: u64,
    /// The most that it has used at once.
    pub max_allocated: u64,
    /// Bytes taken from the device, including those held in reserve.
    pub cached: u64,
    /// The most that was taken at once.
    pub max_cached: u64,
}

/// A running copy from the GPU.
#[derive(Debug)]
pub struct Read {
    slot: c_int,
    bytes: usize,
}

impl Gpu {
    /// Opens a GPU for this process. `tf32`: whether fp32 products may be computed in TF32, which
    /// has a mantissa of 10 bits.
    ///
    /// # Safety
    /// The hooks must be those of `in18-libtorch`'s operations.
    pub unsafe fn open(index: u32, tf32: bool, hooks: &Hooks) -> Result<Self, CudaError> {
        // SAFETY: by the caller's promise.
        unsafe { Gpu::open_by(functions().map_err(CudaError::Failed)?, index, tf32, hooks) }
    }

    /// Opens an emulated GPU, which uses the CPU's memory, for tests.
    pub fn emulated() -> Result<Self, CudaError> {
        unsafe extern "C" fn place(_: usize, _: Option<Allocate>, _: *mut c_void) -> *mut c_void {
            ptr::null_mut()
        }
        unsafe extern "C" fn is_planned(_: *const c_void) -> bool {
            false
        }
        let functions = emulated().map_err(|error| CudaError::Failed(error.to_string()))?;
        // SAFETY: the emulator calls no hook.
        unsafe { Gpu::open_by(functions, 0, false, &Hooks { place, is_planned }) }
    }

    /// # Safety
    /// As for [`open`](Self::open).
    unsafe fn open_by(functions: &'static Functions, index: u32, tf32: bool, hooks: &Hooks) -> Result<Self, CudaError> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a valid place. The hooks are the caller's promise, and are copied.
        let code = unsafe { functions.open(&mut raw, index as c_int, tf32, hooks) };
        check(functions, code, &format!("taking cuda:{index}"))?;
        let mut gpu = Gpu { functions, raw, description: String::new(), capability: (0, 0) };
        let (mut text, mut major, mut minor) = ([0u8; 256], 0, 0);
        // SAFETY: the device lives, and the places are valid and as long as the call says.
        let code = unsafe {
            let place = text.as_mut_ptr().cast::<c_char>();
            functions.describe(raw, place, text.len(), &mut major, &mut minor)
        };
        check(functions, code, &format!("looking at cuda:{index}"))?;
        let text = CStr::from_bytes_until_nul(&text).map(CStr::to_string_lossy).unwrap_or_default();
        gpu.description = text.into_owned();
        gpu.capability = (major.unsigned_abs(), minor.unsigned_abs());
        Ok(gpu)
    }

    /// The GPU's name and abilities.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// NVIDIA's compute capability, as (major, minor).
    pub fn capability(&self) -> (u32, u32) {
        self.capability
    }

    /// How much of its memory is used.
    pub fn memory(&self) -> Result<Memory, CudaError> {
        let mut raw = RawMemory::default();
        // SAFETY: the device lives, and the place is valid.
        check(self.functions, unsafe { self.functions.memory_of(self.raw, &mut raw) }, "asking for memory in use")?;
        let RawMemory { allocated, max_allocated, cached, max_cached } = raw;
        Ok(Memory { allocated, max_allocated, cached, max_cached })
    }

    /// Bytes that this process could still allocate: the GPU's free memory, and the process's own
    /// reserve. Slow, because it asks the driver.
    pub fn available_bytes(&self) -> Result<u64, CudaError> {
        let mut free = 0;
        // SAFETY: the device lives, and the place is valid.
        check(self.functions, unsafe { self.functions.free_memory(self.raw, &mut free) }, "asking for free memory")?;
        let Memory { allocated, cached, .. } = self.memory()?;
        Ok(free + cached.saturating_sub(allocated))
    }

    /// Waits for all started operations.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        // SAFETY: the device lives.
        check(self.functions, unsafe { self.functions.synchronize(self.raw) }, "waiting for the GPU")
    }

    /// Copies bytes to the GPU, in order with its operations. Returns before they have arrived.
    ///
    /// # Safety
    /// `dst` must be memory of this GPU, as long as the bytes.
    pub unsafe fn write(&mut self, dst: *mut u8, bytes: &[u8]) -> Result<(), CudaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        // SAFETY: by the caller's promise; the source is not used after the call.
        let code = unsafe { self.functions.write(self.raw, dst.cast(), bytes.as_ptr().cast(), bytes.len()) };
        check(self.functions, code, "a copy to the GPU")
    }

    /// Starts to copy bytes from the GPU, in order with its operations.
    ///
    /// # Safety
    /// `src` must be memory of this GPU, at least `bytes` long.
    pub unsafe fn start_read(&mut self, src: *const u8, bytes: usize) -> Result<Read, CudaError> {
        let mut slot = 0;
        // SAFETY: by the caller's promise.
        let code = unsafe { self.functions.start_read(self.raw, src.cast(), bytes, &mut slot) };
        check(self.functions, code, "a copy from the GPU")?;
        Ok(Read { slot, bytes })
    }

    /// Whether a copy has finished.
    pub fn is_read(&self, read: &Read) -> Result<bool, CudaError> {
        let mut is_read = false;
        // SAFETY: the device lives, and the place is valid.
        let code = unsafe { self.functions.is_read(self.raw, read.slot, &mut is_read) };
        check(self.functions, code, "running on the GPU")?;
        Ok(is_read)
    }

    /// Waits for a copy, and returns its bytes.
    pub fn finish_read(&mut self, read: Read) -> Result<Vec<u8>, CudaError> {
        let mut bytes = vec![0; read.bytes];
        // SAFETY: the place is as long as the copy.
        let code = unsafe { self.functions.finish_read(self.raw, read.slot, bytes.as_mut_ptr().cast()) };
        check(self.functions, code, "running on the GPU")?;
        Ok(bytes)
    }
}

impl Gpu {
    /// Batch normalisation by the batch's own statistics, with the residual sum and the ReLU after
    /// it, in two passes over memory.
    ///
    /// # Safety
    /// Addresses must point to memory of this GPU, as long as rows, channels and type say.
    /// Addresses of activations must be multiples of 16. The channel count must be a multiple of
    /// the number of values in 16 bytes.
    pub unsafe fn batch_norm(&self, op: &sys::BatchNorm) -> Result<(), CudaError> {
        // SAFETY: by the caller's promise.
        check(self.functions, unsafe { self.functions.run_batch_norm(self.raw, op) }, "BatchNorm")
    }

    /// Batch normalisation by given statistics, in one pass.
    ///
    /// # Safety
    /// As for [`batch_norm`](Self::batch_norm).
    pub unsafe fn batch_norm_inference(&self, op: &sys::BatchNormInference) -> Result<(), CudaError> {
        // SAFETY: by the caller's promise.
        check(self.functions, unsafe { self.functions.run_batch_norm_inference(self.raw, op) }, "BatchNormInference")
    }

    /// Gradients of [`batch_norm`](Self::batch_norm).
    ///
    /// # Safety
    /// As for [`batch_norm`](Self::batch_norm).
    pub unsafe fn batch_norm_backward(&self, op: &sys::BatchNormBackward) -> Result<(), CudaError> {
        // SAFETY: by the caller's promise.
        check(self.functions, unsafe { self.functions.run_batch_norm_backward(self.raw, op) }, "BatchNormBackward")
    }

    /// `dsrc` = `a` + `b` where `dst` > 0, else 0.
    ///
    /// # Safety
    /// Addresses must point to memory of this GPU that holds `values` values of the type. The
    /// addresses and the total number of bytes must be multiples of 16.
    pub unsafe fn sum_relu_backward(
        &self,
        dtype: c_int,
        [dsrc, dst, a, b]: [*mut c_void; 4],
        values: usize,
    ) -> Result<(), CudaError> {
        // SAFETY: by the caller's promise.
        let code = unsafe { self.functions.run_sum_relu_backward(self.raw, dtype, dsrc, dst, a, b, values) };
        check(self.functions, code, "SumReluBackward")
    }

    /// `dst` = `pixels` · `scale` + `shift`, as (`count`, 3).
    ///
    /// # Safety
    /// Addresses must point to memory of this GPU, as long as count and type say. The count and the
    /// addresses of images must be multiples of 16.
    pub unsafe fn normalize(
        &self,
        dtype: c_int,
        dst: *mut c_void,
        pixels: *const u8,
        [scale, shift]: [*const f32; 2],
        count: usize,
    ) -> Result<(), CudaError> {
        // SAFETY: by the caller's promise.
        let code = unsafe { self.functions.run_normalize(self.raw, dtype, dst, pixels, scale, shift, count) };
        check(self.functions, code, "Normalize")
    }

    /// Max pooling. `places` gets a byte for each result: where in its window the maximum was.
    ///
    /// # Safety
    /// As for [`batch_norm`](Self::batch_norm).
    pub unsafe fn max_pool(
        &self,
        op: &sys::Pool,
        dst: *mut c_void,
        places: *mut u8,
        src: *const c_void,
    ) -> Result<(), CudaError> {
        // SAFETY: by the caller's promise.
        check(self.functions, unsafe { self.functions.run_max_pool(self.raw, op, dst, places, src) }, "MaxPool")
    }

    /// The gradient of [`max_pool`](Self::max_pool).
    ///
    /// # Safety
    /// As for [`batch_norm`](Self::batch_norm).
    pub unsafe fn max_pool_backward(
        &self,
        op: &sys::Pool,
        dsrc: *mut c_void,
        ddst: *const c_void,
        places: *const u8,
    ) -> Result<(), CudaError> {
        // SAFETY: by the caller's promise.
        let code = unsafe { self.functions.run_max_pool_backward(self.raw, op, dsrc, ddst, places) };
        check(self.functions, code, "MaxPoolBackward")
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: opened, and closed once.
        unsafe { self.functions.close(self.raw) };
    }
}

/// Joins this process's GPU with the GPUs of the other ranks.
///
/// # Safety
/// `backend` must be the place of a `c10::intrusive_ptr<c10d::Backend>`, and `store` that of a
/// `c10::intrusive_ptr<c10d::Store>`.
pub unsafe fn join_nccl(
    backend: *mut c_void,
    store: *const c_void,
    rank: usize,
    world: usize,
    timeout_ms: i64,
) -> Result<(), CudaError> {
    let functions = functions().map_err(CudaError::Failed)?;
    // SAFETY: by the caller's promise.
    let code = unsafe { functions.join_nccl(backend, store, rank as c_int, world as c_int, timeout_ms) };
    check(functions, code, "starting NCCL")
}
