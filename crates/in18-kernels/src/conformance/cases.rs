//! The table of cases: for every operation, the shapes that a ResNet meets and those that are easily got wrong
//! (odd sizes, rectangles, single pixels, channels that fill no vector), small enough for naive loops.

mod batch_norm;
mod classifier;
mod conv;
mod conv_norm;
mod elementwise;
mod normalize;
mod pool;
mod sgd;

use in18_tensor::DType;

use super::Case;

/// All cases, with inputs for activations of a type.
pub(super) fn all(dtype: DType) -> Vec<Case> {
    let mut cases = normalize::cases(dtype);
    cases.extend(conv::cases(dtype));
    cases.extend(conv_norm::cases(dtype));
    cases.extend(batch_norm::cases(dtype));
    cases.extend(elementwise::cases(dtype));
    cases.extend(pool::cases(dtype));
    cases.extend(classifier::cases());
    cases.extend(sgd::cases());
    cases
}
