//! Whether vector code was compiled for the instructions that it is written for.
//!
//! `in18-onednn`'s loops are compiled inside of functions that have the instructions. Whatever the compiler leaves out of these
//! as a function of its own (a closure, above all, that two of them use) has none, and calls one function an instruction: it
//! computes the same, ten times slower. No test of results shows that, but the program's symbols do.

use crate::process::{built_program, capture};
use anyhow::{Result, bail};
use std::process::Command;

/// What names of such functions have in them: the vectors' traits, and modules that have nothing but loops.
const MARKS: [&str; 16] = [
    " as in18_onednn::simd::",
    "in18_onednn::ops::batch_norm::loops::",
    "in18_onednn::simd::avx",
    "in18_onednn::winograd::convolution::Convolution",
    "in18_onednn::winograd::numbers::Numbers>::product",
    "in18_onednn::winograd::numbers::Numbers>::transform",
    "in18_onednn::winograd::numbers::Numbers>::word",
    "in18_onednn::winograd::numbers::input_factors",
    "in18_onednn::winograd::numbers::kernel_factors",
    "in18_onednn::winograd::numbers::scale_part",
    "in18_onednn::winograd::numbers::sums",
    "in18_onednn::winograd::product::",
    "in18_onednn::winograd::tiles::Square",
    "in18_onednn::winograd::transform::",
    "in18_onednn::winograd::weights::TransformWeights<E,N>::points",
    "in18_onednn::winograd::weights::TransformWeights<E,N>::words",
];

pub fn check() -> Result<()> {
    let output = capture(Command::new("nm").arg("--demangle").arg(built_program()?))?;
    if !output.status.success() {
        bail!("nm could not list the program's symbols");
    }
    let symbols = String::from_utf8_lossy(&output.stdout);
    if !symbols.contains("in18_onednn::") {
        bail!("expected functions of in18-onednn among the program's symbols, got none");
    }
    match left_out(&symbols).as_slice() {
        [] => Ok(()),
        functions => bail!("these functions were not compiled for vectors:\n{}", functions.join("\n")),
    }
}

/// The symbols of functions of ours that work on vectors, and should be part of others.
fn left_out(symbols: &str) -> Vec<&str> {
    symbols.lines().filter(|symbol| MARKS.iter().any(|mark| symbol.contains(mark))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closures_and_functions_of_vectors_are_found() {
        let good =
            "0035ad60 t in18_onednn::simd::run::avx512\n0035aba0 t core::core_arch::x86::avx512f::_mm512_loadu_ps";
        let closure = "00501d60 t <in18_onednn::ops::batch_norm::loops::SourceGradient<E> as in18_onednn::simd::Kernel>::run::{{closure}}";
        let function = "00501d60 t in18_onednn::winograd::transform::input_1d";
        assert!(left_out(good).is_empty());
        assert_eq!(left_out(&[good, closure, function].join("\n")), [closure, function]);
    }
}
