//! Checks a provider against the [reference](crate::reference), operation by operation.
//!
//! [`check`] runs a table of named cases on the provider under test and on the reference. Both get
//! the same random inputs, already rounded to the activations' type. Every result must agree within
//! a stated [`Tolerance`]. Beside the numbers, the suite checks what every provider owes its
//! caller:
//!
//! * what is imported is exported again without a change;
//! * results overwrite: all memory is filled with NaNs before a run, so a value that is read before
//!   it is written, accumulated into, or left out shows;
//! * nothing is written outside the regions that an operation writes, and no input changes;
//! * a program gives the same bits whether it runs whole or operation by operation;
//! * the trait's memory and program calls do what they say, and refuse what they must.
//!
//! [`Case`] and [`Bench`] also serve tests of single operations. A case is a list of operations on
//! numbered values. A bench lays the values out in an arena, fills the inputs in, runs the
//! operations, and takes the results out.
//!
//! This module knows no provider but the reference.

mod bench;
mod case;
mod cases;
pub mod inputs;
mod memory;
mod tolerance;

use std::fmt;

pub use bench::{Bench, Outcome, Stepping};
pub use case::{Case, Kind, ValueId};
use in18_tensor::DType;
pub use tolerance::{Precision, Rounding, Tolerance};

use crate::Kernels;
use crate::reference::Reference;

/// A difference between a provider and the reference.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case's name.
    pub case: String,
    /// The operand's name in its operation, or the call that failed.
    pub operand: &'static str,
    /// What is wrong, with the worst element where numbers differ.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.case, self.operand, self.what)
    }
}

/// Runs every case with activations of the given type (fp32, bf16 or fp16), and returns the number
/// of cases.
///
/// # Errors
/// All failures of all cases.
pub fn check(provider: &mut dyn Kernels, dtype: DType, rounding: Rounding) -> Result<usize, Vec<Failure>> {
    let cases = cases::all(Precision { dtype, rounding });
    let mut failures = memory::check(provider);
    let mut reference = Reference::new();
    let (mut expected, mut got) = match (Bench::new(&mut reference, dtype), Bench::new(provider, dtype)) {
        (Ok(expected), Ok(got)) => (expected, got),
        (Err(error), _) | (_, Err(error)) => {
            failures.push(Failure { case: "setup".to_owned(), operand: "allocate", what: error.to_string() });
            return Err(failures);
        }
    };
    for case in &cases {
        failures.extend(check_case(&mut expected, &mut got, case));
    }
    if failures.is_empty() { Ok(cases.len() + memory::CASES) } else { Err(failures) }
}

/// Runs one case on two providers and compares the second's results with the first's.
pub fn check_case(expected: &mut Bench<'_>, got: &mut Bench<'_>, case: &Case) -> Vec<Failure> {
    let failure = |operand, what| Failure { case: case.name().to_owned(), operand, what };
    let outcomes = expected.run(case, Stepping::Whole).map_err(|error| failure("the reference", error.to_string()));
    let outcomes = outcomes.and_then(|expected| {
        let whole = got.run(case, Stepping::Whole).map_err(|error| failure("the provider", error.to_string()))?;
        let again = got.run(case, Stepping::Again).map_err(|error| failure("the provider", error.to_string()))?;
        Ok((expected, whole, again))
    });
    let (expected, whole, again) = match outcomes {
        Ok(outcomes) => outcomes,
        Err(failure) => return vec![failure],
    };

    let mut failures: Vec<Failure> =
        whole.damage.iter().map(|(operand, what)| failure(operand, what.clone())).collect();
    for (id, operand, tolerance) in case.results() {
        let (expected, whole, again) = (expected.get(id), whole.get(id), again.get(id));
        if let Some(what) = tolerance.violation(expected, whole) {
            failures.push(failure(operand, what));
        }
        let differing = whole.iter().zip(again).position(|(a, b)| a.to_bits() != b.to_bits());
        if let Some(at) = differing {
            let what = format!("two runs differ at element {at}: {} and {}", whole[at], again[at]);
            failures.push(failure(operand, what));
        }
    }
    failures
}
