//! The operations on tensors: `shim/tensors.cpp`, `shim/plain.cpp` (found by name) and
//! `shim/ops.cpp`.

use std::ffi::{c_char, c_int, c_void};

use in18_native::functions;

/// `at::Tensor`.
#[repr(C)]
pub struct RawTensor {
    _private: [u8; 0],
}

/// `in18::PlainOperation` of `shim/plain.cpp`. It lives as long as the library.
#[repr(C)]
pub struct RawOperation {
    _private: [u8; 0],
}

/// Codes of `shim/common.h`: the call succeeded.
pub const DONE: c_int = 0;
/// There is not enough memory.
pub const OUT_OF_MEMORY: c_int = 2;

/// Types of elements, with the numbers of `shim/tensors.cpp`: single precision.
pub const F32: c_int = 0;
/// bfloat16.
pub const BF16: c_int = 1;
/// IEEE half precision.
pub const F16: c_int = 2;
/// Bytes.
pub const U8: c_int = 3;
/// 32-bit integers.
pub const I32: c_int = 4;
/// 64-bit integers.
pub const I64: c_int = 5;

type In = *const RawTensor;
type Out = *const RawTensor;

functions! {
    /// Functions for operations, and functions for tensors and their memory.
    pub struct Operations, "in18_torch_";

    fn error() -> *const c_char;
    fn version() -> *const c_char;
    fn cpu_capability() -> *const c_char;
    fn make_reproducible();
    fn set_threads(threads: c_int) -> c_int;
    fn threads() -> c_int;

    fn view(
        out: *mut *mut RawTensor,
        data: *mut c_void,
        dtype: c_int,
        rank: c_int,
        sizes: *const i64,
        strides: *const i64,
        device: c_int,
    ) -> c_int;
    fn drop(tensor: *mut RawTensor);
    fn allocate(out: *mut *mut RawTensor, bytes: usize, device: c_int) -> c_int;
    fn free(memory: *mut RawTensor);
    fn data(tensor: In) -> *mut c_void;
    fn place_on_gpu(
        bytes: usize,
        allocate: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
        context: *mut c_void,
    ) -> *mut c_void;
    fn is_planned(pointer: *const c_void) -> bool;
    fn copied() -> i64;
    fn copy(dst: Out, src: In) -> c_int;

    fn operation(
        out: *mut *const RawOperation,
        name: *const c_char,
        operands: usize,
        attributes: usize,
    ) -> c_int;
    fn run(operation: *const RawOperation, operands: *const In, attributes: *const f64) -> c_int;

    fn normalize(dst: Out, pixels: In, scale: In, shift: In) -> c_int;
    fn conv(
        dst: Out,
        src: In,
        weight: In,
        bias: In,
        kernel: i64,
        stride: i64,
        padding: i64,
        relu: bool,
        ordinal: *mut c_int,
    ) -> c_int;
    fn conv_relu(
        dst: Out,
        src: In,
        weight: In,
        bias: In,
        kernel: i64,
        stride: i64,
        padding: i64,
        adds: bool,
        way: *mut c_int,
        ordinal: *mut c_int,
    ) -> c_int;
    fn conv_backward_data(
        dsrc: Out,
        weight: In,
        ddst: In,
        kernel: i64,
        stride: i64,
        padding: i64,
        ordinal: *mut c_int,
    ) -> c_int;
    fn conv_backward_weight(
        dweight: Out,
        src: In,
        ddst: In,
        kernel: i64,
        stride: i64,
        padding: i64,
        ordinal: *mut c_int,
    ) -> c_int;
    fn fold(
        folded: Out,
        bias: Out,
        weight: In,
        gamma: In,
        beta: In,
        running_mean: In,
        running_variance: In,
        epsilon: f64,
    ) -> c_int;
    fn batch_norm_backward(
        dsrc: Out,
        dgamma: Out,
        dbeta: Out,
        src: In,
        dst: In,
        gamma: In,
        ddst: In,
        passed: Out,
        mean: In,
        inverse_deviation: In,
        ordinal: *mut c_int,
    ) -> c_int;
    fn sum_relu_backward(dsrc: Out, sum: Out, dst: In, ddst_a: In, ddst_b: In) -> c_int;
    fn max_pool(dst: Out, places: Out, src: In, kernel: i64, stride: i64, padding: i64) -> c_int;
    fn max_pool_backward(
        dsrc: Out,
        ddst: In,
        places: In,
        kernel: i64,
        stride: i64,
        padding: i64,
    ) -> c_int;
    fn sgd(
        count: usize,
        parameters: *const Out,
        velocities: *const Out,
        gradients: *const In,
        numbers: *const f64,
    ) -> c_int;
    fn is_finite(values: In, finite: *mut bool) -> c_int;
}
