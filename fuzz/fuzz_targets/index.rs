//! The reader of indices: never panics, and what it reads fits together and is written the same way again.
#![no_main]

use in18_dataset::Index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Index::parse(bytes) {
        assert!(!error.to_string().contains('\n'));
    }
    // Past the checksum, which no fuzzer gets right.
    let mut sealed = bytes.to_vec();
    if !sealed.ends_with(b"\n") {
        sealed.push(b'\n');
    }
    let checksum = format!("end\t{:08x}\n", crc32c::crc32c(&sealed));
    sealed.extend(checksum.as_bytes());
    match Index::parse(&sealed) {
        Ok(index) => {
            for (number, image) in index.images.iter().enumerate() {
                assert!(image.end().is_some_and(|end| end <= index.shards[image.shard as usize].bytes));
                assert!((image.label as usize) < index.classes.len() && !index.name(number).is_empty());
            }
            assert_eq!(Index::parse(index.text().as_bytes()), Ok(index));
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
});
