//! The shim's group of ranks: its life, its errors, and the notes that ranks leave for each other.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::atomic::AtomicBool;

use in18_libtorch::Ranks;
use in18_libtorch::ranks::{DONE, RawGroup};

/// Bytes of an error's or a note's text.
const TEXT: usize = 1024;

/// The ranks that are joined. Its functions may be called from several threads.
pub struct Group {
    pub raw: *mut RawGroup,
    /// Whether it can still be left in order.
    pub is_whole: AtomicBool,
}

// SAFETY: other threads than its owner's only write and read notes, and the store takes a lock for each call.
unsafe impl Send for Group {}
// SAFETY: as above.
unsafe impl Sync for Group {}

impl Drop for Group {
    fn drop(&mut self) {
        if !*self.is_whole.get_mut() {
            // Leaving would wait for what never ends. The process has not long to live.
            return;
        }
        // SAFETY: joined, and left once. What goes wrong now interests nobody.
        unsafe { c10d().group_leave(self.raw, ptr::null_mut(), 0) };
    }
}

impl Group {
    /// Leaves a text for the others.
    pub fn note(&self, key: &str, text: &str) -> Result<(), Failure> {
        let (Ok(key), Ok(note)) = (CString::new(key), CString::new(text)) else { return Ok(()) };
        // SAFETY: texts end with zeros and live through the call.
        call(|text, length| unsafe { c10d().group_note(self.raw, key.as_ptr(), note.as_ptr(), text, length) })
    }

    /// What another has left; empty if nothing.
    pub fn read(&self, key: &str) -> Result<String, Failure> {
        let Ok(key) = CString::new(key) else { return Ok(String::new()) };
        let mut note = vec![0u8; TEXT];
        call(|text, length| {
            // SAFETY: texts end with zeros or are as long as is said, and live through the call.
            unsafe {
                let place = note.as_mut_ptr().cast();
                c10d().group_read_note(self.raw, key.as_ptr(), place, note.len(), text, length)
            }
        })?;
        Ok(until_zero(&note))
    }
}

/// The library's functions.
///
/// # Panics
/// If they are not loaded: [`C10d::join`](crate::C10d::join) does that before there is anything to call them for.
pub fn c10d() -> &'static Ranks {
    in18_libtorch::ranks().expect("loaded before ranks were joined")
}

/// A code of the shim, with its text.
pub struct Failure {
    pub code: c_int,
    pub text: String,
}

/// Calls the shim with a buffer for what goes wrong.
pub fn call(function: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<(), Failure> {
    let mut text = vec![0u8; TEXT];
    match function(text.as_mut_ptr().cast(), text.len()) {
        DONE => Ok(()),
        code => Err(Failure { code, text: what_counts(&until_zero(&text)).to_owned() }),
    }
}

/// The first line of a text of C.
fn until_zero(text: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(text).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// What counts of an error's text: not the place in Gloo's source before it, nor the advice after it.
fn what_counts(text: &str) -> &str {
    let said = text.strip_prefix("[/").and_then(|rest| rest.split_once("] ")).map_or(text, |(_, said)| said);
    let end = ["This may indicate", "Check the logs"].iter().filter_map(|advice| said.find(advice)).min();
    said[..end.unwrap_or(said.len())].trim_end().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_text_is_what_counts_of_it() {
        let gloo = "[/__w/gloo/transport/tcp/pair.cc:553] Connection closed by peer [::1]:4. This may indicate a failure. Check the logs.";
        assert_eq!(what_counts(gloo), "Connection closed by peer [::1]:4");
        assert_eq!(what_counts("Timed out."), "Timed out");
        assert_eq!(until_zero(b"one\ntwo\0three"), "one");
    }
}
