//! The end of a process whose devices may never come to theirs.

use std::ffi::c_int;
use std::io::{self, Write};

unsafe extern "C" {
    /// POSIX's: ends the process without anything that others registered for its end.
    fn _exit(status: c_int) -> !;
}

/// Ends this process at once. After another rank was lost, a GPU may wait for it for ever, and whatever waits for the GPU with it:
/// destructors, and what NVIDIA's libraries do at a process's ordinary end.
pub fn end_at_once(code: u8) -> ! {
    // All that is lost otherwise.
    let _ = io::stdout().flush();
    // SAFETY: takes a number.
    unsafe { _exit(c_int::from(code)) }
}
