//! The table of cases. For every operation it has the shapes that a ResNet needs, and the shapes
//! that are easily got wrong: odd sizes, rectangles, single pixels, channels that fill no vector.
//! All are small enough for naive loops.

mod average;
mod avg_pool;
mod batch_norm;
mod blur_pool;
mod classifier;
mod clip_gradients;
mod conv;
mod conv_norm;
mod elementwise;
mod lars;
mod normalize;
mod pool;
mod sgd;
mod soft_loss;

use super::{Case, Precision};

/// All cases, with inputs for activations of a type.
pub(super) fn all(precision: Precision) -> Vec<Case> {
    let mut cases = normalize::cases(precision);
    cases.extend(conv::cases(precision));
    cases.extend(conv_norm::cases(precision));
    cases.extend(batch_norm::cases(precision));
    cases.extend(elementwise::cases(precision));
    cases.extend(pool::cases(precision));
    cases.extend(avg_pool::cases(precision));
    cases.extend(blur_pool::cases(precision));
    cases.extend(classifier::cases());
    cases.extend(soft_loss::cases());
    cases.extend(clip_gradients::cases());
    cases.extend(sgd::cases());
    cases.extend(lars::cases());
    cases.extend(average::cases());
    cases
}
