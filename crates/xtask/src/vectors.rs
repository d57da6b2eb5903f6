//! Checks that vector code was compiled for the instructions that it is written for.
//!
//! The loops of `in18-onednn` are compiled inside functions that enable these instructions. If the
//! compiler moves part of a loop into a function of its own (usually a closure that two of them
//! use), that function lacks the instructions and makes a call for each: same results, ten times
//! slower. Tests of results cannot show that, but the program's symbols do.

#[cfg(test)]
use crate::process::workspace;
use crate::process::{built_program, capture};
use anyhow::{Result, bail};
use std::process::Command;

/// Parts of such functions' names: the vectors' traits, and modules that contain only loops.
const MARKS: [&str; 34] = [
    " as in18_onednn::simd::",
    "in18_onednn::finish::Finish",
    "in18_onednn::ops::avg_pool::Average",
    "in18_onednn::ops::avg_pool::Spread",
    "in18_onednn::ops::avg_pool::column_sum",
    "in18_onednn::ops::batch_norm::loops::",
    "in18_onednn::ops::blur_pool::Filter",
    "in18_onednn::ops::blur_pool::Spread",
    "in18_onednn::ops::blur_pool::column",
    "in18_onednn::ops::blur_pool::put",
    "in18_onednn::ops::blur_pool::spread_column",
    "in18_onednn::ops::rows::Row<",
    "in18_onednn::packed::convolution::Convolution",
    "in18_onednn::packed::gather::Gather",
    "in18_onednn::packed::gather::collect",
    "in18_onednn::packed::gather::scatter",
    "in18_onednn::packed::gradient::Gradient",
    "in18_onednn::packed::weights::Pack<E>::block",
    "in18_onednn::packed::weights::Pack<E>::put",
    "in18_onednn::packed::weights::Pack<E>::whole_pair",
    "in18_onednn::product::",
    "in18_onednn::simd::avx",
    "in18_onednn::winograd::convolution::Convolution",
    "in18_onednn::winograd::numbers::Numbers>::product",
    "in18_onednn::winograd::numbers::Numbers>::transform",
    "in18_onednn::winograd::numbers::Numbers>::word",
    "in18_onednn::winograd::numbers::input_factors",
    "in18_onednn::winograd::numbers::kernel_factors",
    "in18_onednn::winograd::numbers::scale_part",
    "in18_onednn::winograd::numbers::sums",
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

/// The symbols of the project's vector functions that were not inlined.
fn left_out(symbols: &str) -> Vec<&str> {
    // `nm` writes an address, a letter and a name. The letters of code are T and W.
    let is_code = |symbol: &&str| matches!(symbol.split_whitespace().nth(1), Some("t" | "T" | "w" | "W"));
    symbols.lines().filter(is_code).filter(|symbol| MARKS.iter().any(|mark| symbol.contains(mark))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mark of a moved module or of a renamed function would find nothing.
    #[test]
    fn marked_modules_and_functions_exist() {
        let source = workspace().join("crates/in18-onednn/src");
        for mark in MARKS {
            let path = mark.trim_start_matches(" as ").trim_start_matches("in18_onednn::");
            let modules =
                path.split("::").take_while(|name| name.starts_with(|first: char| first.is_ascii_lowercase()));
            // The last lower-case name may be a function, or the beginning of a module's name.
            let modules: Vec<&str> = modules.filter(|name| !name.is_empty()).collect();
            let exists = |names: &[&str]| source.join(names.join("/")).with_extension("rs").exists();
            let is_known = exists(&modules) || (modules.len() > 1 && exists(&modules[..modules.len() - 1]));
            let is_known = is_known || mark == "in18_onednn::simd::avx";
            assert!(is_known, "{mark}: no such module in {}", source.display());
            let name = mark.rsplit("::").next().unwrap_or_default();
            // A lower-case name that is neither a module nor the beginning of one is a function.
            let is_module = modules.last() == Some(&name) && (exists(&modules) || name == "avx");
            if name.starts_with(|first: char| first.is_ascii_lowercase()) && !is_module {
                let home = if modules.last() == Some(&name) { &modules[..modules.len() - 1] } else { &modules[..] };
                let file = source.join(home.join("/")).with_extension("rs");
                let text = std::fs::read_to_string(&file).expect("readable");
                assert!(text.contains(&format!("fn {name}<")), "{mark}: no such function in {}", file.display());
            }
        }
    }

    #[test]
    fn closures_and_functions_of_vectors_are_found() {
        let good =
            "0035ad60 t in18_onednn::simd::run::avx512\n0035aba0 t core::core_arch::x86::avx512f::_mm512_loadu_ps";
        let closure = "00501d60 t <in18_onednn::ops::batch_norm::loops::SourceGradient<E> as in18_onednn::simd::Kernel>::run::{{closure}}";
        let function = "00501d60 t in18_onednn::winograd::transform::input_1d";
        let product = "00501d60 t in18_onednn::product::multiply_rows";
        let data = "000cdb44 R in18_onednn::simd::avx2::MASKS";
        assert!(left_out(good).is_empty() && left_out(data).is_empty());
        assert_eq!(left_out(&[good, closure, function, product].join("\n")), [closure, function, product]);
    }
}
