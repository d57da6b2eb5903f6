//! The library's C interface, as `shim/` defines it.

#![allow(missing_docs, reason = "documented in shim/")]

use std::ffi::{c_char, c_int, c_void};

use in18_native::functions;

/// A GPU in use.
#[repr(C)]
pub struct RawDevice {
    _private: [u8; 0],
}

/// The types' numbers in `kernels/kernels.h`.
pub const F32: c_int = 0;
pub const BF16: c_int = 1;
pub const F16: c_int = 2;

/// libtorch's own allocator. The first argument is a hook's `context`.
pub type Allocate = unsafe extern "C" fn(context: *mut c_void, bytes: usize) -> *mut c_void;

/// Two operations of `in18-libtorch`: they place results of libtorch's operations as planned.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Hooks {
    pub place: unsafe extern "C" fn(bytes: usize, allocate: Option<Allocate>, context: *mut c_void) -> *mut c_void,
    pub is_planned: unsafe extern "C" fn(*const c_void) -> bool,
}

/// `in18_cuda_memory`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RawMemory {
    pub allocated: u64,
    pub max_allocated: u64,
    pub cached: u64,
    pub max_cached: u64,
}

/// `in18_cuda_batch_norm`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    pub dtype: c_int,
    pub relu: c_int,
    pub rows: c_int,
    pub channels: c_int,
    pub dst: *mut c_void,
    pub src: *const c_void,
    /// May be null.
    pub addend: *const c_void,
    pub gamma: *const f32,
    pub beta: *const f32,
    pub mean: *mut f32,
    pub inverse_deviation: *mut f32,
    pub running_mean: *mut f32,
    pub running_variance: *mut f32,
    pub epsilon: f32,
    pub momentum: f32,
}

/// `in18_cuda_batch_norm_inference`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BatchNormInference {
    pub dtype: c_int,
    pub relu: c_int,
    pub rows: c_int,
    pub channels: c_int,
    pub dst: *mut c_void,
    pub src: *const c_void,
    pub gamma: *const f32,
    pub beta: *const f32,
    pub mean: *const f32,
    pub variance: *const f32,
    pub epsilon: f32,
}

/// `in18_cuda_batch_norm_backward`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BatchNormBackward {
    pub dtype: c_int,
    pub rows: c_int,
    pub channels: c_int,
    pub dsrc: *mut c_void,
    pub src: *const c_void,
    /// May be null.
    pub dst: *const c_void,
    pub ddst: *const c_void,
    pub gamma: *const f32,
    pub mean: *const f32,
    pub inverse_deviation: *const f32,
    pub dgamma: *mut f32,
    pub dbeta: *mut f32,
}

/// `in18_cuda_pool`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    pub dtype: c_int,
    pub images: c_int,
    pub channels: c_int,
    pub height: c_int,
    pub width: c_int,
    pub out_height: c_int,
    pub out_width: c_int,
    pub kernel: c_int,
    pub stride: c_int,
    pub padding: c_int,
}

functions! {
    /// What GPUs, and the emulated one, compute and copy.
    pub struct Functions, "in18_cuda_";

    fn error() -> *const c_char;
    fn count(count: *mut c_int) -> c_int;
    fn open(out: *mut *mut RawDevice, index: c_int, tf32: bool, hooks: *const Hooks) -> c_int;
    fn close(device: *mut RawDevice);
    fn describe(
        device: *const RawDevice,
        text: *mut c_char,
        capacity: usize,
        major: *mut c_int,
        minor: *mut c_int,
    ) -> c_int;
    fn memory_of(device: *const RawDevice, memory: *mut RawMemory) -> c_int;
    fn free_memory(device: *const RawDevice, bytes: *mut u64) -> c_int;
    fn synchronize(device: *const RawDevice) -> c_int;
    fn write(device: *mut RawDevice, dst: *mut c_void, src: *const c_void, bytes: usize) -> c_int;
    fn start_read(device: *mut RawDevice, src: *const c_void, bytes: usize, slot: *mut c_int) -> c_int;
    fn is_read(device: *const RawDevice, slot: c_int, is_read: *mut bool) -> c_int;
    fn finish_read(device: *mut RawDevice, slot: c_int, dst: *mut c_void) -> c_int;
    fn run_batch_norm(device: *mut RawDevice, op: *const BatchNorm) -> c_int;
    fn run_batch_norm_inference(device: *mut RawDevice, op: *const BatchNormInference) -> c_int;
    fn run_batch_norm_backward(device: *mut RawDevice, op: *const BatchNormBackward) -> c_int;
    fn run_sum_relu_backward(
        device: *mut RawDevice,
        dtype: c_int,
        dsrc: *mut c_void,
        dst: *const c_void,
        a: *const c_void,
        b: *const c_void,
        values: usize,
    ) -> c_int;
    fn run_normalize(
        device: *mut RawDevice,
        dtype: c_int,
        dst: *mut c_void,
        pixels: *const u8,
        scale: *const f32,
        shift: *const f32,
        count: usize,
    ) -> c_int;
    fn run_max_pool(
        device: *mut RawDevice,
        op: *const Pool,
        dst: *mut c_void,
        places: *mut u8,
        src: *const c_void,
    ) -> c_int;
    fn run_max_pool_backward(
        device: *mut RawDevice,
        op: *const Pool,
        dsrc: *mut c_void,
        ddst: *const c_void,
        places: *const u8,
    ) -> c_int;
    fn join_nccl(backend: *mut c_void, store: *const c_void, rank: c_int, world: c_int, timeout_ms: i64) -> c_int;
}
