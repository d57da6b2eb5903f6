//! What layers emit their operations into: numbered values, which get their places once all
//! operations are there.

use in18_kernels::Kernels;
use in18_kernels::op::{self, Op, Window};
use in18_tensor::{ArenaId, DType, Format, Region, Shape, Tensor};

use super::{Arenas, Fusion};
use crate::error::ProgramError;
use crate::model::{Mode, Size};
use crate::network::{Network, Node, NodeId};
use crate::plan::{Lifetime, place};
use crate::table::{Entry, ParameterTable};

/// Names a value: something that an operation reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueId(pub(super) usize);

struct Value {
    shape: Shape,
    dtype: DType,
    format: Format,
    bytes: usize,
    /// Where it lies, if the planner does not place it.
    fixed: Option<Region>,
    /// Whether it lives through the whole program, because the caller writes or reads it.
    pinned: bool,
}

/// A network on its way to a list of operations.
pub struct Lowering<'a> {
    network: &'a Network,
    fusion: Fusion<'a>,
    parameters: &'a ParameterTable,
    statistics: &'a ParameterTable,
    size: Size,
    dtype: DType,
    kernels: &'a dyn Kernels,
    arenas: Arenas,
    values: Vec<Value>,
    pub(super) ops: Vec<Op<ValueId>>,
    pixels: ValueId,
    /// Each layer's output; `None` for an absorbed layer.
    outputs: Vec<Option<ValueId>>,
    /// What each layer's backward half needs beside its inputs and output.
    saved: Vec<Vec<ValueId>>,
    /// For each layer: the gradients that were left for its output. Their sum is the output's
    /// gradient.
    gradients: Vec<Vec<ValueId>>,
}

/// For [`lower`](super::lower).
impl<'a> Lowering<'a> {
    pub(super) fn new(
        network: &'a Network,
        (parameters, statistics): (&'a ParameterTable, &'a ParameterTable),
        (mode, size): (Mode, Size),
        dtype: DType,
        kernels: &'a dyn Kernels,
        arenas: Arenas,
    ) -> Self {
        let nodes = network.nodes().len();
        let mut lowering = Lowering {
            network,
            fusion: Fusion::of(network, mode),
            parameters,
            statistics,
            size,
            dtype,
            kernels,
            arenas,
            values: Vec::new(),
            ops: Vec::new(),
            pixels: ValueId(0),
            outputs: vec![None; nodes],
            saved: vec![Vec::new(); nodes],
            gradients: vec![Vec::new(); nodes],
        };
        let shape = Shape::nchw(size.batch, 3, size.height, size.width);
        lowering.pixels = lowering.pinned(shape, DType::U8, Format::ChannelsLast);
        lowering
    }

    /// Emits the forward half of all layers; returns the logits, which live through the whole
    /// program.
    pub(super) fn forward(&mut self) -> Result<ValueId, ProgramError> {
        for node in self.network.nodes() {
            if !self.fusion.is_part(node.id) {
                let output = node.layer.forward(node, self)?;
                let is_own = !self.outputs.contains(&Some(output)) || self.absorbed(node).is_some();
                assert!(is_own, "{} returns another layer's output", node.name);
                self.outputs[node.id.0] = Some(output);
            }
        }
        let logits = self.output(NodeId(self.outputs.len() - 1));
        self.values[logits.0].pinned = true;
        Ok(logits)
    }

    /// Emits the backward half of all layers, from the gradient of the logits.
    pub(super) fn backward(&mut self, dlogits: ValueId) {
        self.leave_gradient(NodeId(self.outputs.len() - 1), dlogits);
        for node in self.network.nodes().iter().rev() {
            node.layer.backward(node, self);
        }
    }

    /// A new value that the caller writes or reads.
    pub(crate) fn pinned(&mut self, shape: Shape, dtype: DType, format: Format) -> ValueId {
        let bytes = shape.elements() * dtype.bytes();
        self.push(Value { shape, dtype, format, bytes, fixed: None, pinned: true })
    }

    /// Gives every value its place; returns the tensors by value and the size of the work arena.
    pub(super) fn place(&self) -> (Vec<Tensor>, usize) {
        let last = self.ops.len().saturating_sub(1);
        let mut alive: Vec<Option<(usize, usize)>> =
            self.values.iter().map(|value| value.pinned.then_some((0, last))).collect();
        for (index, op) in self.ops.iter().enumerate() {
            for value in op.reads().into_iter().chain(op.writes()) {
                let (start, end) = alive[value.0].unwrap_or((index, index));
                alive[value.0] = Some((start.min(index), end.max(index)));
            }
        }
        let planned: Vec<usize> = (0..self.values.len()).filter(|&i| self.values[i].fixed.is_none()).collect();
        let lifetimes: Vec<Lifetime> = planned
            .iter()
            .map(|&i| {
                let (start, end) = alive[i].unwrap_or((0, 0));
                Lifetime { bytes: self.values[i].bytes, alive: start..=end }
            })
            .collect();
        let placement = place(&lifetimes);
        let mut regions: Vec<Option<Region>> = self.values.iter().map(|value| value.fixed).collect();
        for (&i, &offset) in planned.iter().zip(&placement.offsets) {
            regions[i] = Some(Region { arena: self.arenas.work, offset, bytes: self.values[i].bytes });
        }
        let tensors = self
            .values
            .iter()
            .zip(regions)
            .map(|(value, region)| Tensor {
                region: region.expect("every value is fixed or planned"),
                shape: value.shape,
                dtype: value.dtype,
                format: value.format,
            })
            .collect();
        (tensors, placement.bytes)
    }
}

/// For layers: what the operations are for and what will run them.
impl<'a> Lowering<'a> {
    /// What the program is for.
    pub fn mode(&self) -> Mode {
        self.fusion.mode()
    }

    /// The type of activations.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The provider that will run the operations.
    pub fn kernels(&self) -> &'a dyn Kernels {
        self.kernels
    }

    /// The layer that runs as part of this one's operation, if one does
    /// ([`Layer::absorbs`](crate::layers::Layer::absorbs)).
    pub fn absorbed(&self, node: &Node) -> Option<&'a Node> {
        self.fusion.absorbed(node.id).map(|id| self.network.node(id))
    }

    /// Whether a layer's output needs a gradient: all do but the network's input.
    pub fn wants_gradient(&self, id: NodeId) -> bool {
        !self.network.node(id).inputs.is_empty()
    }

    /// The shape of a layer's output (N, `channels`, H', W') if a window slides over `src`, (N, C,
    /// H, W).
    ///
    /// # Errors
    /// [`ProgramError::ImageTooSmall`] if the window fits nowhere.
    pub fn windowed(&self, node: &Node, src: ValueId, window: Window, channels: usize) -> Result<Shape, ProgramError> {
        let src = self.shape(src);
        let (height, width) = (window.output(src[2]), window.output(src[3]));
        if height == 0 || width == 0 {
            let Size { height, width, .. } = self.size;
            return Err(ProgramError::ImageTooSmall { layer: node.name.clone(), height, width });
        }
        Ok(Shape::nchw(src[0], channels, height, width))
    }
}

/// For layers: values that exist.
impl Lowering<'_> {
    /// The extents of a value.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.values[value.0].shape
    }

    /// The batch's pixels: (N, 3, H, W) u8, channels last.
    pub fn pixels(&self) -> ValueId {
        self.pixels
    }

    /// A layer's output.
    ///
    /// # Panics
    /// If a later layer has absorbed the layer: then only that layer's operation reads its output.
    pub fn output(&self, id: NodeId) -> ValueId {
        let output = self.outputs[id.0];
        output.expect("nothing but its own operation reads a layer that is part of one")
    }

    /// The outputs that a layer takes.
    ///
    /// # Panics
    /// If the layer takes another number of them.
    pub fn inputs<const N: usize>(&self, node: &Node) -> [ValueId; N] {
        let inputs: [NodeId; N] = node.inputs[..]
            .try_into()
            .unwrap_or_else(|_| panic!("{} takes {N} inputs, not {}", node.name, node.inputs.len()));
        inputs.map(|input| self.output(input))
    }

    /// One of a layer's parameters.
    pub fn parameter(&mut self, node: &Node, name: &str) -> ValueId {
        self.stored(self.parameters, node, name, self.arenas.parameters)
    }

    /// The place of a parameter's gradient.
    pub fn parameter_gradient(&mut self, node: &Node, name: &str) -> ValueId {
        self.stored(self.parameters, node, name, self.arenas.gradients)
    }

    /// One of a layer's statistics.
    pub fn statistic(&mut self, node: &Node, name: &str) -> ValueId {
        self.stored(self.statistics, node, name, self.arenas.statistics)
    }

    fn stored(&mut self, table: &ParameterTable, node: &Node, name: &str, arena: ArenaId) -> ValueId {
        let name = node.parameter_name(name);
        let Some(entry) = table.get(&name) else { unreachable!("the table was made from this network: {name}") };
        let Entry { shape, offset, .. } = *entry;
        let bytes = entry.bytes();
        let fixed = Some(Region { arena, offset, bytes });
        self.push(Value { shape, dtype: DType::F32, format: Format::Plain, bytes, fixed, pinned: false })
    }

    /// The values that a layer's forward half has [saved](Self::save).
    ///
    /// # Panics
    /// If the layer has saved another number of values.
    pub fn saved<const N: usize>(&self, node: &Node) -> [ValueId; N] {
        self.saved[node.id.0][..].try_into().unwrap_or_else(|_| panic!("{} has not saved {N} values", node.name))
    }

    /// The gradient of a layer's output: the sum of what its readers left.
    ///
    /// # Panics
    /// If no later layer reads it.
    pub fn gradient(&mut self, node: &Node) -> ValueId {
        let parts = std::mem::take(&mut self.gradients[node.id.0]);
        let sum = parts.into_iter().reduce(|total, part| {
            let dst = self.activation(self.shape(total));
            self.emit(op::Add { a: total, b: part, dst });
            dst
        });
        sum.expect("every layer's output is read by a later layer")
    }

    /// What the readers of a layer's output have left so far: for operations that add gradients
    /// themselves.
    pub fn gradient_parts(&self, node: &Node) -> &[ValueId] {
        &self.gradients[node.id.0]
    }
}

/// For layers: new values and operations.
impl Lowering<'_> {
    /// Appends an operation.
    pub fn emit(&mut self, op: impl Into<Op<ValueId>>) {
        self.ops.push(op.into());
    }

    /// A new value in the provider's layout.
    pub fn activation(&mut self, shape: Shape) -> ValueId {
        let bytes = self.kernels.activation_bytes(shape, self.dtype);
        self.push(Value { shape, dtype: self.dtype, format: Format::Activation, bytes, fixed: None, pinned: false })
    }

    /// A new row-major fp32 value.
    pub fn plain(&mut self, shape: Shape) -> ValueId {
        let bytes = shape.elements() * DType::F32.bytes();
        self.push(Value { shape, dtype: DType::F32, format: Format::Plain, bytes, fixed: None, pinned: false })
    }

    /// New bytes that only the provider understands.
    pub fn raw(&mut self, bytes: usize) -> ValueId {
        let shape = Shape::new(&[bytes]);
        self.push(Value { shape, dtype: DType::U8, format: Format::Plain, bytes, fixed: None, pinned: false })
    }

    fn push(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }

    /// Keeps values for a layer's backward half.
    pub fn save(&mut self, node: &Node, values: &[ValueId]) {
        self.saved[node.id.0] = values.to_vec();
    }

    /// Leaves a gradient for a layer's output.
    pub fn leave_gradient(&mut self, id: NodeId, gradient: ValueId) {
        self.gradients[id.0].push(gradient);
    }
}
