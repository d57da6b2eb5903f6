//! The shim's C interface, as `shim/c10d.cpp` defines it.

use std::ffi::{c_char, c_int, c_void};

/// Ranks that are joined.
#[repr(C)]
pub struct RawGroup {
    _private: [u8; 0],
}

/// A collective under way.
#[repr(C)]
pub struct RawWork {
    _private: [u8; 0],
}

pub const DONE: c_int = 0;
pub const TIMEOUT: c_int = 1;
pub const LOST: c_int = 2;

pub const F32: c_int = 0;
pub const BF16: c_int = 1;
pub const F16: c_int = 2;
pub const U8: c_int = 3;
pub const F64: c_int = 4;

unsafe extern "C" {
    pub fn in18_group_join(
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
    pub fn in18_group_nccl(group: *mut RawGroup) -> *mut c_void;
    pub fn in18_group_nccl_store(group: *const RawGroup) -> *const c_void;
    pub fn in18_group_abort(group: *mut RawGroup, error: *mut c_char, capacity: usize) -> c_int;
    pub fn in18_group_leave(group: *mut RawGroup, error: *mut c_char, capacity: usize) -> c_int;
    pub fn in18_group_sum(
        out: *mut *mut RawWork,
        group: *mut RawGroup,
        data: *mut c_void,
        count: usize,
        dtype: c_int,
        device: c_int,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub fn in18_group_broadcast(
        out: *mut *mut RawWork,
        group: *mut RawGroup,
        data: *mut c_void,
        count: usize,
        dtype: c_int,
        device: c_int,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub fn in18_group_gather(
        out: *mut *mut RawWork,
        group: *mut RawGroup,
        send: *mut c_void,
        receive: *mut c_void,
        count: usize,
        dtype: c_int,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub fn in18_work_wait(work: *mut RawWork, error: *mut c_char, capacity: usize) -> c_int;
    pub fn in18_work_look(work: *mut RawWork, is_over: *mut bool, error: *mut c_char, capacity: usize) -> c_int;
    pub fn in18_work_is_over(work: *const RawWork) -> bool;
    pub fn in18_work_drop(work: *mut RawWork);
    pub fn in18_group_note(
        group: *mut RawGroup,
        key: *const c_char,
        text: *const c_char,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub fn in18_group_read_note(
        group: *mut RawGroup,
        key: *const c_char,
        text: *mut c_char,
        length: usize,
        error: *mut c_char,
        capacity: usize,
    ) -> c_int;
}
