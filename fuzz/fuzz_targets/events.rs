//! The reader of event files: never panics, and what it reads comes from whole records only.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err((offset, reason)) = in18_record::event_files::parse(bytes) {
        assert!(offset < bytes.len() && !reason.contains('\n'));
    }
    // As records, past the checksums that no fuzzer gets right.
    let mut file = Vec::new();
    for content in bytes.chunks(64) {
        in18_record::event_files::record::append(&mut file, content);
    }
    if let Err((offset, _)) = in18_record::event_files::parse(&file) {
        assert!(offset < file.len());
    }
});
