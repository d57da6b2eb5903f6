//! A case: what is run and compared, without saying where it lies in memory.

use in18_tensor::Shape;

use super::Tolerance;
use crate::Op;

/// A named list of operations on numbered values.
#[derive(Clone, Debug)]
pub struct Case {
    name: String,
    values: Vec<Value>,
    ops: Vec<Op<ValueId>>,
}

/// A value of a [`Case`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueId(usize);

/// What kind of tensor a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// (N, C, H, W), of the type that the bench runs with, in the provider's own format.
    Activation,
    /// Plain fp32.
    Parameter,
    /// Plain fp32 in the host's memory.
    Scalars,
    /// (N) i32.
    Labels,
    /// (N, 3, H, W) u8, channels last.
    Pixels,
    /// The workspace of a max pooling. The value's shape is that of the pooling's output.
    MaxPoolWorkspace,
}

#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    /// What it holds before the run.
    pub(super) given: Option<Vec<f32>>,
    /// Whether the run may change it.
    pub(super) written: bool,
    /// How its content after the run is compared.
    pub(super) tolerance: Option<Tolerance>,
    /// The input over whose bytes it lies.
    pub(super) over: Option<ValueId>,
}

impl Case {
    /// A case without values and operations.
    pub fn new(name: impl Into<String>) -> Self {
        Case { name: name.into(), values: Vec::new(), ops: Vec::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A value that is only read. `values` are in the logical order of the shape.
    pub fn input(&mut self, name: &'static str, kind: Kind, shape: Shape, values: Vec<f32>) -> ValueId {
        self.push_value(Value { name, kind, shape, given: Some(values), written: false, tolerance: None, over: None })
    }

    /// A value that is read and written.
    pub fn updated(
        &mut self,
        name: &'static str,
        kind: Kind,
        shape: Shape,
        values: Vec<f32>,
        tolerance: Tolerance,
    ) -> ValueId {
        let (given, tolerance) = (Some(values), Some(tolerance));
        self.push_value(Value { name, kind, shape, given, written: true, tolerance, over: None })
    }

    /// A value that is read, and may hold anything afterwards.
    pub fn consumed(&mut self, name: &'static str, kind: Kind, shape: Shape, values: Vec<f32>) -> ValueId {
        self.push_value(Value { name, kind, shape, given: Some(values), written: true, tolerance: None, over: None })
    }

    /// A value that is written.
    pub fn output(&mut self, name: &'static str, kind: Kind, shape: Shape, tolerance: Tolerance) -> ValueId {
        let tolerance = Some(tolerance);
        self.push_value(Value { name, kind, shape, given: None, written: true, tolerance, over: None })
    }

    /// A value of an input's kind and shape that is written over that input's bytes.
    pub fn output_over(&mut self, name: &'static str, input: ValueId, tolerance: Tolerance) -> ValueId {
        let Value { kind, shape, .. } = self.values[input.0];
        let (tolerance, over) = (Some(tolerance), Some(input));
        self.push_value(Value { name, kind, shape, given: None, written: true, tolerance, over })
    }

    /// A workspace: one operation writes it, another reads it, and its content is not compared.
    pub fn workspace(&mut self, kind: Kind, shape: Shape) -> ValueId {
        let name = "workspace";
        self.push_value(Value { name, kind, shape, given: None, written: true, tolerance: None, over: None })
    }

    /// Adds an operation.
    pub fn push(&mut self, op: impl Into<Op<ValueId>>) {
        self.ops.push(op.into());
    }

    /// What a value holds before the run, to be read or changed between runs.
    ///
    /// # Panics
    /// If the value is not given any content.
    pub fn given_mut(&mut self, id: ValueId) -> &mut [f32] {
        let value = &mut self.values[id.0];
        value.given.as_mut().unwrap_or_else(|| panic!("{} is given no values", value.name))
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.values[id.0].shape
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    pub(super) fn ops(&self) -> &[Op<ValueId>] {
        &self.ops
    }

    /// Whether some other value lies over this one, so that its content does not survive the run.
    pub(super) fn is_covered(&self, id: ValueId) -> bool {
        self.values.iter().any(|value| value.over == Some(id))
    }

    /// The values to compare.
    pub(super) fn results(&self) -> impl Iterator<Item = (ValueId, &'static str, Tolerance)> {
        let values = self.values.iter().enumerate();
        values.filter_map(|(i, value)| value.tolerance.map(|tolerance| (ValueId(i), value.name, tolerance)))
    }

    fn push_value(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }
}

impl ValueId {
    pub(super) fn index(self) -> usize {
        self.0
    }

    pub(super) fn new(index: usize) -> Self {
        ValueId(index)
    }
}
