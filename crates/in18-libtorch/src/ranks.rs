//! The functions of c10d that ranks need: `shim/c10d.cpp`.

use std::ffi::{c_char, c_int, c_void};

use in18_native::functions;

/// A group of joined ranks.
#[repr(C)]
pub struct RawGroup {
    _private: [u8; 0],
}

/// A running collective.
#[repr(C)]
pub struct RawWork {
    _private: [u8; 0],
}

/// Codes of `shim/c10d.cpp`: the call succeeded.
pub const DONE: c_int = 0;
/// The call took longer than its limit.
pub const TIMEOUT: c_int = 1;
/// A connection was lost.
pub const LOST: c_int = 2;

/// Types of values, with the numbers of `shim/c10d.cpp`: single precision.
pub const F32: c_int = 0;
/// bfloat16.
pub const BF16: c_int = 1;
/// IEEE half precision.
pub const F16: c_int = 2;
/// Bytes.
pub const U8: c_int = 3;
/// Double precision.
pub const F64: c_int = 4;

functions! {
    /// Groups of ranks, and the collectives that they run.
    pub struct Ranks, "in18_";

    fn group_join(
        out: *mut *mut RawGroup,
        rank: c_int,
        world: c_int,
        master: *const c_char,
        port: u16,
        prefix: *const c_char,
        serves: bool,
        host: *const c_char,
        join_ms: i64,
        timeout_ms: i64,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn group_nccl(group: *mut RawGroup) -> *mut c_void;
    fn group_nccl_store(group: *const RawGroup) -> *const c_void;
    fn group_abort(group: *mut RawGroup, error: *mut c_char, capacity: usize) -> c_int;
    fn group_leave(group: *mut RawGroup, error: *mut c_char, capacity: usize) -> c_int;
    fn group_sum(
        out: *mut *mut RawWork,
        group: *mut RawGroup,
        data: *mut c_void,
        count: usize,
        dtype: c_int,
        device: c_int,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn group_broadcast(
        out: *mut *mut RawWork,
        group: *mut RawGroup,
        data: *mut c_void,
        count: usize,
        dtype: c_int,
        device: c_int,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn group_gather(
        out: *mut *mut RawWork,
        group: *mut RawGroup,
        send: *mut c_void,
        receive: *mut c_void,
        count: usize,
        dtype: c_int,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn work_wait(work: *mut RawWork, error: *mut c_char, capacity: usize) -> c_int;
    fn work_look(work: *mut RawWork, is_over: *mut bool, error: *mut c_char, capacity: usize) -> c_int;
    fn work_is_over(work: *const RawWork) -> bool;
    fn work_drop(work: *mut RawWork);
    fn group_note(
        group: *mut RawGroup,
        key: *const c_char,
        text: *const c_char,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn group_read_note(
        group: *mut RawGroup,
        key: *const c_char,
        text: *mut c_char,
        length: usize,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
}
