//! The parser of `--phases`: no text makes it panic, and what it reads is rendered to text that reads back equal.

#![no_main]

use in18_recipe::Phases;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(phases) = Phases::from_python(text) {
        let rendered = phases.to_python();
        assert_eq!(Phases::from_python(&rendered).as_ref(), Ok(&phases), "{rendered}");
    }
});
