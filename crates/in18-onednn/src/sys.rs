//! Declarations of the functions of oneDNN's C API, version 3, that this crate calls.
//!
//! The values of constants are copied from `dnnl_types.h`; oneDNN keeps them within a major
//! version. Functions have the library's own names. oneDNN's documentation says what they do, and
//! [`safe`](crate::safe) shows how to call them safely.
#![allow(non_camel_case_types, missing_docs)]

use std::ffi::{c_char, c_float, c_int, c_uint, c_void};

pub const MAX_NDIMS: usize = 12;
pub type dim = i64;
pub type dims = [dim; MAX_NDIMS];

macro_rules! opaque {
    ($($name:ident),*) => {$(
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        }
    )*};
}
opaque!(engine, stream, memory_desc, memory, post_ops, primitive_attr, primitive_desc, primitive);

pub type status = c_int;
pub const SUCCESS: status = 0;
pub const OUT_OF_MEMORY: status = 1;
pub const INVALID_ARGUMENTS: status = 2;
pub const UNIMPLEMENTED: status = 3;
pub const RUNTIME_ERROR: status = 5;

pub const ENGINE_CPU: c_int = 1;
pub const STREAM_IN_ORDER: c_uint = 1;

pub type data_type = c_int;
pub const UNDEFINED: data_type = 0;
pub const BF16: data_type = 2;
pub const F32: data_type = 3;

pub type format_tag = c_int;
pub const ANY: format_tag = 1;
pub const A: format_tag = 2;
pub const AB: format_tag = 3;
pub const BA: format_tag = 14;
pub const ABCD: format_tag = 5;
pub const ACDB: format_tag = 22;
pub const ABCD_BLOCKED_16B: format_tag = 78;
pub const ABCD_BLOCKED_8B: format_tag = 102;
pub const AB_BLOCKED_8A16B2A: format_tag = 98;
pub const AB_BLOCKED_8B16A2B: format_tag = 104;
pub const BA_BLOCKED_8A16B2A: format_tag = 106;

pub const FORWARD_TRAINING: c_int = 64;
pub const FORWARD_INFERENCE: c_int = 96;
pub const BACKWARD: c_int = 128;
pub const CONVOLUTION_DIRECT: c_int = 1;
pub const POOLING_MAX: c_int = 511;
pub const ELTWISE_RELU: c_int = 0x20;
pub const USE_GLOBAL_STATS: c_uint = 1;
pub const USE_SCALE: c_uint = 2;
pub const USE_SHIFT: c_uint = 4;
pub const FUSE_NORM_RELU: c_uint = 8;
pub const SCRATCHPAD_USER: c_int = 1;

pub const QUERY_IMPL_INFO: c_int = 8;
pub const QUERY_SRC: c_int = 129;
pub const QUERY_WEIGHTS: c_int = 131;
pub const QUERY_DIFF_WEIGHTS: c_int = 132;
pub const QUERY_DST: c_int = 133;
pub const QUERY_WORKSPACE: c_int = 135;
pub const QUERY_SCRATCHPAD: c_int = 136;

pub const ARG_SRC: c_int = 1;
pub const ARG_DST: c_int = 17;
pub const ARG_WEIGHTS: c_int = 33;
pub const ARG_BIAS: c_int = 41;
pub const ARG_MEAN: c_int = 49;
pub const ARG_VARIANCE: c_int = 50;
pub const ARG_SCALE: c_int = 51;
pub const ARG_SHIFT: c_int = 52;
pub const ARG_WORKSPACE: c_int = 64;
pub const ARG_SCRATCHPAD: c_int = 80;
pub const ARG_DIFF_SRC: c_int = 129;
pub const ARG_DIFF_DST: c_int = 145;
pub const ARG_DIFF_WEIGHTS: c_int = 161;
pub const ARG_DIFF_SCALE: c_int = 255;
pub const ARG_DIFF_SHIFT: c_int = 256;

pub type cpu_isa = c_int;
pub const ISA_AVX2: cpu_isa = 7;
pub const ISA_AVX512_CORE: cpu_isa = 39;
pub const ISA_AVX512_CORE_BF16: cpu_isa = 231;

#[repr(C)]
pub struct version_info {
    pub major: c_int,
    pub minor: c_int,
    pub patch: c_int,
    pub hash: *const c_char,
    pub cpu_runtime: c_uint,
    pub gpu_runtime: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct exec_arg {
    pub arg: c_int,
    pub memory: *mut memory,
}

unsafe extern "C" {
    pub fn dnnl_version() -> *const version_info;
    pub fn dnnl_get_effective_cpu_isa() -> cpu_isa;

    pub fn dnnl_engine_create(engine: *mut *mut engine, kind: c_int, index: usize) -> status;
    pub fn dnnl_engine_destroy(engine: *mut engine) -> status;
    pub fn dnnl_stream_create(stream: *mut *mut stream, engine: *mut engine, flags: c_uint) -> status;
    pub fn dnnl_stream_destroy(stream: *mut stream) -> status;
    pub fn dnnl_stream_wait(stream: *mut stream) -> status;

    pub fn dnnl_memory_desc_create_with_tag(
        desc: *mut *mut memory_desc,
        ndims: c_int,
        dims: *const dim,
        data_type: data_type,
        tag: format_tag,
    ) -> status;
    pub fn dnnl_memory_desc_destroy(desc: *mut memory_desc) -> status;
    pub fn dnnl_memory_desc_clone(desc: *mut *mut memory_desc, existing: *const memory_desc) -> status;
    pub fn dnnl_memory_desc_equal(a: *const memory_desc, b: *const memory_desc) -> c_int;
    pub fn dnnl_memory_desc_get_size(desc: *const memory_desc) -> usize;

    pub fn dnnl_memory_create(
        memory: *mut *mut memory,
        desc: *const memory_desc,
        engine: *mut engine,
        handle: *mut c_void,
    ) -> status;
    pub fn dnnl_memory_destroy(memory: *mut memory) -> status;
    pub fn dnnl_memory_set_data_handle(memory: *mut memory, handle: *mut c_void) -> status;

    pub fn dnnl_primitive_attr_create(attr: *mut *mut primitive_attr) -> status;
    pub fn dnnl_primitive_attr_destroy(attr: *mut primitive_attr) -> status;
    pub fn dnnl_primitive_attr_set_scratchpad_mode(attr: *mut primitive_attr, mode: c_int) -> status;
    pub fn dnnl_primitive_attr_set_post_ops(attr: *mut primitive_attr, post_ops: *const post_ops) -> status;

    pub fn dnnl_post_ops_create(post_ops: *mut *mut post_ops) -> status;
    pub fn dnnl_post_ops_destroy(post_ops: *mut post_ops) -> status;
    pub fn dnnl_post_ops_append_eltwise(post_ops: *mut post_ops, kind: c_int, alpha: c_float, beta: c_float) -> status;
    pub fn dnnl_post_ops_append_sum(
        post_ops: *mut post_ops,
        scale: c_float,
        zero_point: i32,
        data_type: data_type,
    ) -> status;

    pub fn dnnl_convolution_forward_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        engine: *mut engine,
        prop_kind: c_int,
        alg_kind: c_int,
        src: *const memory_desc,
        weights: *const memory_desc,
        bias: *const memory_desc,
        dst: *const memory_desc,
        strides: *const dim,
        dilates: *const dim,
        padding_l: *const dim,
        padding_r: *const dim,
        attr: *const primitive_attr,
    ) -> status;
    pub fn dnnl_convolution_backward_data_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        engine: *mut engine,
        alg_kind: c_int,
        diff_src: *const memory_desc,
        weights: *const memory_desc,
        diff_dst: *const memory_desc,
        strides: *const dim,
        dilates: *const dim,
        padding_l: *const dim,
        padding_r: *const dim,
        hint: *const primitive_desc,
        attr: *const primitive_attr,
    ) -> status;
    pub fn dnnl_convolution_backward_weights_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        engine: *mut engine,
        alg_kind: c_int,
        src: *const memory_desc,
        diff_weights: *const memory_desc,
        diff_bias: *const memory_desc,
        diff_dst: *const memory_desc,
        strides: *const dim,
        dilates: *const dim,
        padding_l: *const dim,
        padding_r: *const dim,
        hint: *const primitive_desc,
        attr: *const primitive_attr,
    ) -> status;
    pub fn dnnl_batch_normalization_forward_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        engine: *mut engine,
        prop_kind: c_int,
        src: *const memory_desc,
        dst: *const memory_desc,
        epsilon: c_float,
        flags: c_uint,
        attr: *const primitive_attr,
    ) -> status;
    pub fn dnnl_batch_normalization_backward_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        engine: *mut engine,
        prop_kind: c_int,
        diff_src: *const memory_desc,
        diff_dst: *const memory_desc,
        src: *const memory_desc,
        epsilon: c_float,
        flags: c_uint,
        hint: *const primitive_desc,
        attr: *const primitive_attr,
    ) -> status;
    pub fn dnnl_pooling_forward_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        engine: *mut engine,
        prop_kind: c_int,
        alg_kind: c_int,
        src: *const memory_desc,
        dst: *const memory_desc,
        strides: *const dim,
        kernel: *const dim,
        dilation: *const dim,
        padding_l: *const dim,
        padding_r: *const dim,
        attr: *const primitive_attr,
    ) -> status;
    pub fn dnnl_pooling_backward_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        engine: *mut engine,
        alg_kind: c_int,
        diff_src: *const memory_desc,
        diff_dst: *const memory_desc,
        strides: *const dim,
        kernel: *const dim,
        dilation: *const dim,
        padding_l: *const dim,
        padding_r: *const dim,
        hint: *const primitive_desc,
        attr: *const primitive_attr,
    ) -> status;
    pub fn dnnl_matmul_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        engine: *mut engine,
        src: *const memory_desc,
        weights: *const memory_desc,
        bias: *const memory_desc,
        dst: *const memory_desc,
        attr: *const primitive_attr,
    ) -> status;
    pub fn dnnl_reorder_primitive_desc_create(
        pd: *mut *mut primitive_desc,
        src: *const memory_desc,
        src_engine: *mut engine,
        dst: *const memory_desc,
        dst_engine: *mut engine,
        attr: *const primitive_attr,
    ) -> status;

    pub fn dnnl_primitive_desc_destroy(pd: *mut primitive_desc) -> status;
    pub fn dnnl_primitive_desc_next_impl(pd: *mut primitive_desc) -> status;
    pub fn dnnl_primitive_desc_query_md(pd: *const primitive_desc, what: c_int, index: c_int) -> *const memory_desc;
    pub fn dnnl_primitive_desc_query(
        pd: *const primitive_desc,
        what: c_int,
        index: c_int,
        result: *mut c_void,
    ) -> status;

    pub fn dnnl_primitive_create(primitive: *mut *mut primitive, pd: *const primitive_desc) -> status;
    pub fn dnnl_primitive_execute(
        primitive: *const primitive,
        stream: *mut stream,
        nargs: c_int,
        args: *const exec_arg,
    ) -> status;
    pub fn dnnl_primitive_destroy(primitive: *mut primitive) -> status;

    // GNU's OpenMP runtime, which oneDNN uses. This crate's own loops run on the same threads.
    pub fn GOMP_parallel(
        body: unsafe extern "C" fn(*mut c_void),
        data: *mut c_void,
        num_threads: c_uint,
        flags: c_uint,
    );
    pub fn omp_get_thread_num() -> c_int;
    pub fn omp_get_num_threads() -> c_int;
    pub fn omp_get_max_threads() -> c_int;
    pub fn omp_set_num_threads(threads: c_int);
}
