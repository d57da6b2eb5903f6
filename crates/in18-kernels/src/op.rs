//! The vocabulary: every operation that a program may hold.
//!
//! An operation is plain data, generic over its operands. While a program is built, operands are
//! numbered values; in a compiled program they are [`Tensor`]s. Each kind of operation has a file
//! of its own. Its forward and backward halves stand side by side, with their operands in the same
//! order. The gradient of `x` is called `dx`. **Every operation overwrites what it writes; none
//! accumulates.** Only operands under `updates` are read and changed in place: batch
//! normalisation's running statistics, and the state and gradients that an update changes.
//!
//! Activations and their gradients are (N, C, H, W) in
//! [`Format::Activation`](in18_tensor::Format::Activation), all of one type (fp32, bf16 or fp16)
//! within a program. Parameters, statistics and gradients of parameters are fp32 and plain. The
//! operations of an update see ranges of these as one row of numbers.

mod attribute;
mod average;
mod avg_pool;
mod batch_norm;
mod blur_pool;
pub(crate) mod check;
mod clip_gradients;
mod conv;
mod conv_norm;
mod cost;
mod cross_entropy;
mod elementwise;
mod lars;
mod linear;
mod normalize;
mod pool;
mod sgd;
mod soft_loss;

use in18_tensor::Tensor;

use self::check::Check;
use crate::KernelError;

pub use average::Average;
pub use avg_pool::{AVG_POOL_SIDE, AvgPool, AvgPoolBackward, avg_pool_output};
pub use batch_norm::{BatchNorm, BatchNormAddRelu, BatchNormBackward, BatchNormInference, BatchNormReluBackward};
pub use blur_pool::{BLUR_TAPS, BlurPool, BlurPoolBackward, blur_window};
pub use clip_gradients::{CLIP_EPSILON, ClipGradients, clip_factor};
pub use conv::{Conv, ConvBackwardData, ConvBackwardWeight, Window};
pub use conv_norm::{ConvNorm, ConvNormAddRelu};
pub use cross_entropy::{CrossEntropy, CrossEntropyBackward, METRICS, TOP_K};
pub use elementwise::{Add, AddRelu, ReluBackward, SumReluBackward};
pub use lars::{Lars, lars_ratio};
pub use linear::{Linear, LinearBackwardData, LinearBackwardWeight};
pub use normalize::{Normalize, PIXEL_DEVIATION, PIXEL_MEAN};
pub use pool::{GlobalAvgPool, GlobalAvgPoolBackward, MaxPool, MaxPoolBackward};
pub use sgd::{SGD_SCALARS, Sgd};
pub use soft_loss::{MIXED, SoftLoss, SoftLossBackward};

/// Declares an operation: its attributes, then the operands that it reads, updates and writes.
macro_rules! operation {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( attributes { $( $(#[$ameta:meta])* $attr:ident : $atype:ty ),* $(,)? } )?
            reads { $( $(#[$rmeta:meta])* $read:ident ),* $(,)? }
            $( updates { $( $(#[$umeta:meta])* $update:ident ),* $(,)? } )?
            writes { $( $(#[$wmeta:meta])* $write:ident ),* $(,)? }
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name<T = ::in18_tensor::Tensor> {
            $($( $(#[$ameta])* pub $attr: $atype, )*)?
            $( $(#[$rmeta])* pub $read: T, )*
            $($( $(#[$umeta])* pub $update: T, )*)?
            $( $(#[$wmeta])* pub $write: T, )*
        }

        impl<T: Copy> $name<T> {
            pub(super) fn map<U>(&self, mut f: impl FnMut(T) -> U) -> $name<U> {
                $name {
                    $($( $attr: self.$attr, )*)?
                    $( $read: f(self.$read), )*
                    $($( $update: f(self.$update), )*)?
                    $( $write: f(self.$write), )*
                }
            }

            pub(super) fn reads(&self) -> Vec<T> {
                vec![$( self.$read, )* $($( self.$update, )*)?]
            }

            pub(super) fn updates(&self) -> Vec<T> {
                vec![$($( self.$update, )*)?]
            }

            pub(super) fn writes(&self) -> Vec<T> {
                vec![$($( self.$update, )*)? $( self.$write, )*]
            }

            pub(super) fn operands(&self) -> Vec<T> {
                vec![$( self.$read, )* $($( self.$update, )*)? $( self.$write, )*]
            }

            pub(super) fn attributes(&self) -> Vec<f64> {
                // `super` of the operation's own file.
                <[Vec<f64>]>::concat(&[$($( super::attribute::Attribute::numbers(self.$attr), )*)?])
            }
        }
    };
}
use operation;

/// Declares the enum of all operations, and the methods that every operation has.
///
/// `$d` is a dollar sign, for the macro that this one defines.
macro_rules! vocabulary {
    ($d:tt $( $name:ident ),* $(,)?) => {
        /// One operation of a program.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Op<T = Tensor> {
            $(
                #[doc = concat!("See [`", stringify!($name), "`].")]
                $name($name<T>),
            )*
        }

        /// Evaluates one expression with the operation that is inside an [`Op`], whatever its kind.
        /// Providers use it to call the trait that each of their operations implements.
        #[macro_export]
        macro_rules! each_operation {
            ($d op:expr, $d inner:ident => $d value:expr) => {
                match $d op { $( $crate::op::Op::$name($d inner) => $d value, )* }
            };
        }

        impl<T: Copy> Op<T> {
            /// The same operation on other operands.
            pub fn map<U>(&self, f: impl FnMut(T) -> U) -> Op<U> {
                match self { $( Op::$name(op) => Op::$name(op.map(f)), )* }
            }

            /// The operands that it reads.
            pub fn reads(&self) -> Vec<T> {
                each_operation!(self, op => op.reads())
            }

            /// The operands that it writes.
            pub fn writes(&self) -> Vec<T> {
                each_operation!(self, op => op.writes())
            }

            /// The operands that it changes in place.
            pub fn updates(&self) -> Vec<T> {
                each_operation!(self, op => op.updates())
            }

            /// All operands, in the order of their declaration: those that it reads, updates and
            /// writes.
            pub fn operands(&self) -> Vec<T> {
                each_operation!(self, op => op.operands())
            }

            /// Its attributes as numbers, in the order of their declaration. A window is kernel,
            /// stride and padding; what is on or off is 1 or 0.
            pub fn attributes(&self) -> Vec<f64> {
                each_operation!(self, op => op.attributes())
            }

            /// The name of its kind.
            pub fn name(&self) -> &'static str {
                match self { $( Op::$name(_) => stringify!($name), )* }
            }
        }

        $(
            impl<T> From<$name<T>> for Op<T> {
                fn from(op: $name<T>) -> Self {
                    Op::$name(op)
                }
            }
        )*
    };
}

vocabulary!($
    Normalize,
    Conv,
    ConvBackwardData,
    ConvBackwardWeight,
    ConvNorm,
    ConvNormAddRelu,
    BatchNorm,
    BatchNormAddRelu,
    BatchNormBackward,
    BatchNormReluBackward,
    BatchNormInference,
    Add,
    AddRelu,
    ReluBackward,
    SumReluBackward,
    MaxPool,
    MaxPoolBackward,
    AvgPool,
    AvgPoolBackward,
    BlurPool,
    BlurPoolBackward,
    GlobalAvgPool,
    GlobalAvgPoolBackward,
    Linear,
    LinearBackwardData,
    LinearBackwardWeight,
    CrossEntropy,
    CrossEntropyBackward,
    SoftLoss,
    SoftLossBackward,
    ClipGradients,
    Sgd,
    Lars,
    Average,
);

impl Op {
    /// Checks that shapes, types and formats of the operands fit together. Every provider calls
    /// this before it compiles an operation.
    ///
    /// # Errors
    /// [`KernelError::Operand`], which names the operand.
    pub fn check(&self) -> Result<(), KernelError> {
        each_operation!(self, op => op.check())
    }
}
