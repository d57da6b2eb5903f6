//! The shim's group of ranks: its lifetime, its errors, and the notes that ranks leave there.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::atomic::AtomicBool;

use in18_libtorch::Ranks;
use in18_libtorch::ranks::{DONE, RawGroup};

/// The longest text of an error or a note, in bytes.
const TEXT: usize = 1024;

/// The joined ranks. Several threads may call its functions.
pub struct Group {
    pub raw: *mut RawGroup,
    /// Whether the group can still be left in order.
    pub is_whole: AtomicBool,
}

// SAFETY: threads other than the owner's only write and read notes, and the store locks each call.
unsafe impl Send for Group {}
// SAFETY: as above.
unsafe impl Sync for Group {}

impl Drop for Group {
    fn drop(&mut self) {
        if !*self.is_whole.get_mut() {
            // Leaving would wait for a collective that never ends. The process ends soon anyway.
            return;
        }
        // SAFETY: the group was joined, and is left once. An error no longer matters.
        unsafe { c10d().group_leave(self.raw, ptr::null_mut(), 0) };
    }
}

impl Group {
    /// Leaves a text for the other ranks.
    pub fn note(&self, key: &str, text: &str) -> Result<(), Failure> {
        let (Ok(key), Ok(note)) = (CString::new(key), CString::new(text)) else { return Ok(()) };
        // SAFETY: the texts end with zeros and live through the call.
        call(|text, length| unsafe { c10d().group_note(self.raw, key.as_ptr(), note.as_ptr(), text, length) })
    }

    /// The text that another rank has left; empty if there is none.
    pub fn read(&self, key: &str) -> Result<String, Failure> {
        let Ok(key) = CString::new(key) else { return Ok(String::new()) };
        let mut note = vec![0u8; TEXT];
        call(|text, length| {
            // SAFETY: texts end with zeros or have the given length, and live through the call.
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
/// If the library is not loaded. [`C10d::join`](crate::C10d::join) loads it before anything calls
/// these functions.
pub fn c10d() -> &'static Ranks {
    in18_libtorch::ranks().expect("loaded before ranks were joined")
}

/// An error code of the shim, with its text.
pub struct Failure {
    pub code: c_int,
    pub text: String,
}

/// Calls the shim with a buffer for the error's text.
pub fn call(function: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<(), Failure> {
    let mut text = vec![0u8; TEXT];
    match function(text.as_mut_ptr().cast(), text.len()) {
        DONE => Ok(()),
        code => Err(Failure { code, text: what_counts(&until_zero(&text)).to_owned() }),
    }
}

/// The first line of a C string.
fn until_zero(text: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(text).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The essential part of an error's text, without the place in Gloo's source and the advice.
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
