//! The shim's C interface, as `shim/*.cpp` define it.

#![allow(missing_docs, reason = "documented in shim/")]

use std::ffi::{c_char, c_int, c_void};

/// at::Tensor.
#[repr(C)]
pub struct RawTensor {
    _private: [u8; 0],
}

/// The codes of `shim/common.h`.
pub const DONE: c_int = 0;
pub const OUT_OF_MEMORY: c_int = 2;

/// The types of `shim/tensors.cpp`.
pub const F32: c_int = 0;
pub const BF16: c_int = 1;
pub const F16: c_int = 2;
pub const U8: c_int = 3;
pub const I32: c_int = 4;
pub const I64: c_int = 5;

type In = *const RawTensor;
type Out = *const RawTensor;

unsafe extern "C" {
    pub fn in18_torch_error() -> *const c_char;
    pub fn in18_torch_version() -> *const c_char;
    pub fn in18_torch_cpu_capability() -> *const c_char;
    pub fn in18_torch_make_reproducible();
    pub fn in18_torch_set_threads(threads: c_int) -> c_int;
    pub fn in18_torch_threads() -> c_int;

    pub fn in18_torch_view(
        out: *mut *mut RawTensor,
        data: *mut c_void,
        dtype: c_int,
        rank: c_int,
        sizes: *const i64,
        strides: *const i64,
        device: c_int,
    ) -> c_int;
    pub fn in18_torch_drop(tensor: *mut RawTensor);
    pub fn in18_torch_allocate(out: *mut *mut RawTensor, bytes: usize, device: c_int) -> c_int;
    pub fn in18_torch_free(memory: *mut RawTensor);
    pub fn in18_torch_data(tensor: In) -> *mut c_void;
    pub fn in18_torch_place_on_gpu(
        bytes: usize,
        allocate: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
        context: *mut c_void,
    ) -> *mut c_void;
    pub fn in18_torch_is_planned(pointer: *const c_void) -> bool;
    pub fn in18_torch_copied() -> i64;
    pub fn in18_torch_copy(dst: Out, src: In) -> c_int;

    pub fn in18_torch_normalize(dst: Out, pixels: In, scale: In, shift: In) -> c_int;
    pub fn in18_torch_conv(
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
    pub fn in18_torch_conv_relu(
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
    pub fn in18_torch_conv_backward_data(
        dsrc: Out,
        weight: In,
        ddst: In,
        kernel: i64,
        stride: i64,
        padding: i64,
        ordinal: *mut c_int,
    ) -> c_int;
    pub fn in18_torch_conv_backward_weight(
        dweight: Out,
        src: In,
        ddst: In,
        kernel: i64,
        stride: i64,
        padding: i64,
        ordinal: *mut c_int,
    ) -> c_int;
    pub fn in18_torch_fold(
        folded: Out,
        bias: Out,
        weight: In,
        gamma: In,
        beta: In,
        running_mean: In,
        running_variance: In,
        epsilon: f64,
    ) -> c_int;
    pub fn in18_torch_batch_norm(
        dst: Out,
        mean: Out,
        inverse_deviation: Out,
        src: In,
        addend: In,
        gamma: In,
        beta: In,
        running_mean: Out,
        running_variance: Out,
        epsilon: f64,
        momentum: f64,
        relu: bool,
    ) -> c_int;
    pub fn in18_torch_batch_norm_backward(
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
    pub fn in18_torch_batch_norm_inference(
        dst: Out,
        src: In,
        gamma: In,
        beta: In,
        running_mean: In,
        running_variance: In,
        epsilon: f64,
        relu: bool,
    ) -> c_int;
    pub fn in18_torch_add(dst: Out, a: In, b: In, relu: bool) -> c_int;
    pub fn in18_torch_relu_backward(dsrc: Out, dst: In, ddst: In) -> c_int;
    pub fn in18_torch_sum_relu_backward(dsrc: Out, sum: Out, dst: In, ddst_a: In, ddst_b: In) -> c_int;
    pub fn in18_torch_max_pool(dst: Out, places: Out, src: In, kernel: i64, stride: i64, padding: i64) -> c_int;
    pub fn in18_torch_max_pool_backward(
        dsrc: Out,
        ddst: In,
        places: In,
        kernel: i64,
        stride: i64,
        padding: i64,
    ) -> c_int;
    pub fn in18_torch_global_avg_pool(dst: Out, src: In) -> c_int;
    pub fn in18_torch_global_avg_pool_backward(dsrc: Out, ddst: In) -> c_int;
    pub fn in18_torch_linear(dst: Out, src: In, weight: In, bias: In) -> c_int;
    pub fn in18_torch_linear_backward_data(dsrc: Out, weight: In, ddst: In) -> c_int;
    pub fn in18_torch_linear_backward_weight(dweight: Out, dbias: Out, src: In, ddst: In) -> c_int;
    pub fn in18_torch_cross_entropy(metrics: Out, logits: In, labels: In) -> c_int;
    pub fn in18_torch_cross_entropy_backward(dlogits: Out, logits: In, labels: In, scale: In) -> c_int;
    pub fn in18_torch_is_finite(values: In, finite: *mut bool) -> c_int;
    pub fn in18_torch_sgd(
        count: usize,
        parameters: *const Out,
        velocities: *const Out,
        gradients: *const In,
        gradient_scale: f64,
        rate: f64,
        momentum: f64,
        weight_decay: f64,
    ) -> c_int;
}
