//! Checks of operands. The checks are strict, so that a wrong program fails before it runs, with
//! every provider.

use in18_tensor::{DType, Format, Shape, Tensor};

use super::Window;
use crate::KernelError;

/// The check that each operation's file implements beside the operation's declaration.
pub(super) trait Check {
    /// Whether shapes, types and formats of the operands fit together.
    fn check(&self) -> Result<(), KernelError>;
}

/// An operand with its name, for messages.
pub(super) type NamedOperand<'a> = (&'static str, &'a Tensor);

/// Operands with their names.
pub(super) type Named<'a> = &'a [NamedOperand<'a>];

/// The [`Named`] operands of an operation.
macro_rules! named {
    ($op:ident: $( $operand:ident ),*) => {
        &[$( (stringify!($operand), &$op.$operand) ),*]
    };
}
pub(super) use named;

/// Checks the operands of one operation, whose activations must all be of one type.
pub(crate) struct Checker {
    operation: &'static str,
    activation: DType,
}

impl Checker {
    /// For an operation whose activations are of the same type as this one.
    pub(crate) fn new(operation: &'static str, activation: &Tensor) -> Self {
        Checker { operation, activation: activation.dtype }
    }

    /// For an operation without activations.
    pub(super) fn plain(operation: &'static str) -> Self {
        Checker { operation, activation: DType::F32 }
    }

    /// An activation whose shape decides the shapes of others: any (N, C, H, W) without an empty
    /// extent.
    pub(super) fn source(&self, operand: &'static str, tensor: &Tensor) -> Result<[usize; 4], KernelError> {
        let &[n, c, h, w] = tensor.shape.extents() else {
            return Err(self.misuse(operand, "(N, C, H, W)", &tensor.shape.to_string()));
        };
        self.activation(operand, tensor, &[n, c, h, w])?;
        Ok([n, c, h, w])
    }

    /// An activation of a given shape.
    pub(super) fn activation(
        &self,
        operand: &'static str,
        tensor: &Tensor,
        shape: &[usize],
    ) -> Result<(), KernelError> {
        if !self.activation.is_float() {
            return Err(self.misuse(operand, "fp32, bf16 or fp16", &self.activation.to_string()));
        }
        self.tensor(operand, tensor, shape, self.activation, Format::Activation)
    }

    /// Activations of one given shape.
    pub(super) fn activations(&self, operands: Named<'_>, shape: &[usize]) -> Result<(), KernelError> {
        operands.iter().try_for_each(|(operand, tensor)| self.activation(operand, tensor, shape))
    }

    /// A plain fp32 matrix whose shape decides the shapes of others: any without an empty extent.
    pub(super) fn matrix(&self, operand: &'static str, tensor: &Tensor) -> Result<[usize; 2], KernelError> {
        let &[rows, columns] = tensor.shape.extents() else {
            return Err(self.misuse(operand, "a matrix", &tensor.shape.to_string()));
        };
        self.parameter(operand, tensor, &[rows, columns])?;
        Ok([rows, columns])
    }

    /// A plain fp32 row of numbers whose length decides the lengths of others.
    pub(super) fn vector(&self, operand: &'static str, tensor: &Tensor) -> Result<usize, KernelError> {
        let &[length] = tensor.shape.extents() else {
            return Err(self.misuse(operand, "a row of numbers", &tensor.shape.to_string()));
        };
        self.parameter(operand, tensor, &[length])?;
        Ok(length)
    }

    /// Operands that share no byte with each other.
    pub(super) fn apart(&self, operands: &[(&'static str, &Tensor)]) -> Result<(), KernelError> {
        for (index, (operand, tensor)) in operands.iter().enumerate() {
            if let Some((other, _)) = operands[..index].iter().find(|(_, other)| other.region.overlaps(&tensor.region))
            {
                return Err(self.misuse(operand, &format!("apart from {other}"), "a region that overlaps it"));
            }
        }
        Ok(())
    }

    /// A plain fp32 tensor of a given shape: a parameter, a statistic, logits.
    pub(super) fn parameter(&self, operand: &'static str, tensor: &Tensor, shape: &[usize]) -> Result<(), KernelError> {
        self.tensor(operand, tensor, shape, DType::F32, Format::Plain)
    }

    /// Plain fp32 tensors of one given shape.
    pub(super) fn parameters(&self, operands: Named<'_>, shape: &[usize]) -> Result<(), KernelError> {
        operands.iter().try_for_each(|(operand, tensor)| self.parameter(operand, tensor, shape))
    }

    /// A tensor of a given shape, type and format.
    pub(super) fn tensor(
        &self,
        operand: &'static str,
        tensor: &Tensor,
        shape: &[usize],
        dtype: DType,
        format: Format,
    ) -> Result<(), KernelError> {
        if shape.contains(&0) {
            return Err(self.misuse(operand, "without an empty extent", &Shape::new(shape).to_string()));
        }
        let describe = |shape: Shape, dtype: DType, format: Format| format!("{shape} {dtype} {format:?}");
        let expected = describe(Shape::new(shape), dtype, format);
        let got = describe(tensor.shape, tensor.dtype, tensor.format);
        if expected == got { Ok(()) } else { Err(self.misuse(operand, &expected, &got)) }
    }

    /// A workspace of at least `bytes` bytes.
    pub(crate) fn workspace(&self, tensor: &Tensor, bytes: usize) -> Result<(), KernelError> {
        if tensor.region.bytes >= bytes {
            return Ok(());
        }
        let got = format!("{} bytes", tensor.region.bytes);
        Err(self.misuse("workspace", &format!("at least {bytes} bytes long"), &got))
    }

    /// A window with a step above 0 that holds at least one pixel in each of its places.
    pub(super) fn window(&self, window: Window) -> Result<(), KernelError> {
        if window.stride > 0 && window.padding < window.kernel {
            return Ok(());
        }
        Err(self.misuse("window", "of a positive stride and a padding below its side", &format!("{window:?}")))
    }

    /// A stride from 1 to `largest`.
    pub(super) fn stride(&self, stride: usize, largest: usize) -> Result<(), KernelError> {
        if (1..=largest).contains(&stride) {
            return Ok(());
        }
        Err(self.misuse("stride", &format!("from 1 to {largest}"), &stride.to_string()))
    }

    fn misuse(&self, operand: &'static str, expected: &str, got: &str) -> KernelError {
        let (expected, got) = (expected.to_owned(), got.to_owned());
        KernelError::Operand { operation: self.operation, operand, expected, got }
    }
}
