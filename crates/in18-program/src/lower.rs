//! A network at one size becomes a flat list of operations over planned memory.
//!
//! Each kind of layer has its forward and its backward half side by side in `Lowering`. The backward pass is the
//! forward list walked from its end: a layer takes the gradients that its readers left for its output and leaves
//! gradients for its inputs. What the backward half needs of the forward half lives until then; the planner sees that
//! from who reads it.

mod fusion;

use std::ops::Range;

use in18_kernels::Kernels;
use in18_kernels::op::{self, METRICS, Op};
use in18_tensor::{ArenaId, DType, Format, Region, Shape, Tensor};

use self::fusion::{Part, parts};
use crate::error::ProgramError;
use crate::model::{Mode, Size};
use crate::network::{Layer, LayerId, LayerKind, Network};
use crate::plan::{Lifetime, place};
use crate::table::{Entry, ParameterTable};

/// Batch normalisation's epsilon, PyTorch's default.
pub const EPSILON: f32 = 1e-5;

/// Batch normalisation's momentum, PyTorch's default: the share of the new value.
pub const MOMENTUM: f32 = 0.1;

/// The arenas that a program runs in.
#[derive(Clone, Copy, Debug)]
pub struct Arenas {
    /// fp32 parameters, by [`ParameterTable::parameters`].
    pub parameters: ArenaId,
    /// Their gradients, at the same offsets.
    pub gradients: ArenaId,
    /// Running statistics, by [`ParameterTable::statistics`].
    pub statistics: ArenaId,
    /// What lives only during a step.
    pub work: ArenaId,
}

/// A network at one size.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// All operations: the forward half, then the backward half.
    pub ops: Vec<Op>,
    /// Pixels to loss and counts.
    pub forward: Range<usize>,
    /// Loss to gradients; empty for evaluation.
    pub backward: Range<usize>,
    /// (N, 3, H, W) u8, channels last.
    pub pixels: Tensor,
    /// (N) i32.
    pub labels: Tensor,
    /// (1) fp32: what the loss's gradient is multiplied with.
    pub scale: Tensor,
    /// (N, K) fp32.
    pub logits: Tensor,
    /// ([`METRICS`]) fp32.
    pub metrics: Tensor,
    /// Bytes of the work arena.
    pub work_bytes: usize,
    /// After which operations how many bytes of the arena of gradients, from its beginning on, are final; both grow.
    pub finished_gradients: Vec<(usize, usize)>,
}

/// Compiles a network for one size.
pub fn lower(
    network: &Network,
    tables: (&ParameterTable, &ParameterTable),
    (mode, size): (Mode, Size),
    dtype: DType,
    kernels: &dyn Kernels,
    arenas: Arenas,
) -> Result<Lowered, ProgramError> {
    let (parameters, statistics) = tables;
    let mut lowering = Lowering {
        parameters,
        statistics,
        size,
        mode,
        dtype,
        kernels,
        arenas,
        values: Vec::new(),
        ops: Vec::new(),
        outputs: Vec::new(),
        saved: Vec::new(),
        gradients: vec![Vec::new(); network.layers().len()],
    };
    let pixels = lowering.pinned(Shape::nchw(size.batch, 3, size.height, size.width), DType::U8, Format::ChannelsLast);
    let labels = lowering.pinned(Shape::new(&[size.batch]), DType::I32, Format::Plain);
    let scale = lowering.pinned(Shape::new(&[1]), DType::F32, Format::Plain);
    for (layer, part) in network.layers().iter().zip(parts(network, mode)) {
        match part {
            Part::Whole => lowering.forward(layer, pixels)?,
            fused => {
                let output = lowering.fused(fused, network, layer)?;
                lowering.outputs.push(output);
                lowering.saved.push(Saved::Nothing);
            }
        }
    }
    let logits = lowering.output(LayerId(network.layers().len() - 1));
    lowering.values[logits.0].pinned = true;
    let metrics = lowering.pinned(Shape::new(&[METRICS]), DType::F32, Format::Plain);
    lowering.ops.push(op::CrossEntropy { logits, labels, metrics }.into());
    let forward = 0..lowering.ops.len();
    if mode == Mode::Training {
        let dlogits = lowering.plain(lowering.values[logits.0].shape);
        lowering.ops.push(op::CrossEntropyBackward { logits, labels, scale, dlogits }.into());
        lowering.gradients[network.layers().len() - 1].push(dlogits);
        for (id, layer) in network.layers().iter().enumerate().rev() {
            lowering.backward(LayerId(id), layer, network);
        }
    }
    let backward = forward.end..lowering.ops.len();
    let (tensors, work_bytes) = lowering.place();
    let tensor = |value: ValueId| tensors[value.0];
    let ops: Vec<Op> = lowering.ops.iter().map(|op| op.map(tensor)).collect();
    Ok(Lowered {
        finished_gradients: finished_gradients(&ops, arenas.gradients),
        ops,
        forward,
        backward,
        pixels: tensor(pixels),
        labels: tensor(labels),
        scale: tensor(scale),
        logits: tensor(logits),
        metrics: tensor(metrics),
        work_bytes,
    })
}

/// After which operations how much of the arena of gradients, from its beginning on, is final: pairs of an operation's number
/// and a length in bytes, both growing. The table of parameters has the order of the backward pass, but for operations that
/// finish several parameters.
fn finished_gradients(ops: &[Op], gradients: ArenaId) -> Vec<(usize, usize)> {
    let mut written: Vec<(usize, usize, usize)> = Vec::new(); // first byte, byte after the last, operation
    for (index, op) in ops.iter().enumerate() {
        for tensor in op.writes().iter().filter(|tensor| tensor.region.arena == gradients) {
            written.push((tensor.region.offset, tensor.region.end(), index));
        }
    }
    written.sort_unstable();
    let mut finished: Vec<(usize, usize)> = Vec::new();
    let mut latest = 0;
    for (_, end, op) in written {
        latest = latest.max(op);
        match finished.last_mut() {
            Some(last) if last.0 == latest => last.1 = end,
            _ => finished.push((latest, end)),
        }
    }
    finished
}

/// Names a value: something that an operation reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ValueId(usize);

struct Value {
    shape: Shape,
    dtype: DType,
    format: Format,
    bytes: usize,
    /// Where it lies, if that is not for the planner to say.
    fixed: Option<Region>,
    /// Whether it lives through the whole program, since the caller writes or reads it.
    pinned: bool,
}

/// What a layer's backward half needs beside its inputs and output.
#[derive(Clone, Copy)]
enum Saved {
    Nothing,
    BatchNorm { mean: ValueId, inverse_deviation: ValueId },
    MaxPool { workspace: ValueId },
}

struct Lowering<'a> {
    parameters: &'a ParameterTable,
    statistics: &'a ParameterTable,
    size: Size,
    mode: Mode,
    dtype: DType,
    kernels: &'a dyn Kernels,
    arenas: Arenas,
    values: Vec<Value>,
    ops: Vec<Op<ValueId>>,
    /// Each layer's output; none where it is part of a later layer's operation.
    outputs: Vec<Option<ValueId>>,
    saved: Vec<Saved>,
    /// Each layer's output's gradients, whose sum is the gradient.
    gradients: Vec<Vec<ValueId>>,
}

impl Lowering<'_> {
    /// The forward half of a layer.
    fn forward(&mut self, layer: &Layer, pixels: ValueId) -> Result<(), ProgramError> {
        let inputs: Vec<ValueId> = layer.inputs.iter().map(|&input| self.output(input)).collect();
        let mut saved = Saved::Nothing;
        let output = match (&layer.kind, &inputs[..]) {
            (LayerKind::Input, []) => {
                let dst = self.activation(self.values[pixels.0].shape);
                self.ops.push(op::Normalize { pixels, dst }.into());
                dst
            }
            (&LayerKind::Conv { window, outputs, .. }, &[src]) => {
                let weight = self.parameter(layer, "weight");
                let dst = self.activation(self.windowed(layer, src, window, outputs)?);
                self.ops.push(op::Conv { window, src, weight, dst }.into());
                dst
            }
            (&LayerKind::BatchNorm { relu, .. }, &[src]) => {
                let (gamma, beta) = (self.parameter(layer, "weight"), self.parameter(layer, "bias"));
                let running_mean = self.statistic(layer, "running_mean");
                let running_variance = self.statistic(layer, "running_var");
                let dst = self.activation(self.values[src.0].shape);
                match self.mode {
                    Mode::Training => {
                        let mean = self.plain(self.values[gamma.0].shape);
                        let inverse_deviation = self.plain(self.values[gamma.0].shape);
                        saved = Saved::BatchNorm { mean, inverse_deviation };
                        let norm = op::BatchNorm {
                            epsilon: EPSILON,
                            momentum: MOMENTUM,
                            relu,
                            src,
                            gamma,
                            beta,
                            running_mean,
                            running_variance,
                            dst,
                            mean,
                            inverse_deviation,
                        };
                        self.ops.push(norm.into());
                    }
                    Mode::Evaluation => {
                        let norm = op::BatchNormInference {
                            epsilon: EPSILON,
                            relu,
                            src,
                            gamma,
                            beta,
                            running_mean,
                            running_variance,
                            dst,
                        };
                        self.ops.push(norm.into());
                    }
                }
                dst
            }
            (LayerKind::AddRelu, &[a, b]) => {
                let dst = self.activation(self.values[a.0].shape);
                self.ops.push(op::AddRelu { a, b, dst }.into());
                dst
            }
            (&LayerKind::MaxPool { window }, &[src]) => {
                let dst = self.activation(self.windowed(layer, src, window, self.values[src.0].shape[1])?);
                let bytes = self.kernels.max_pool_workspace_bytes(self.values[dst.0].shape, self.dtype)?;
                let workspace = self.raw(bytes);
                saved = Saved::MaxPool { workspace };
                self.ops.push(op::MaxPool { window, src, dst, workspace }.into());
                dst
            }
            (LayerKind::GlobalAvgPool, &[src]) => {
                let shape = self.values[src.0].shape;
                let dst = self.plain(Shape::new(&[shape[0], shape[1]]));
                self.ops.push(op::GlobalAvgPool { src, dst }.into());
                dst
            }
            (&LayerKind::Linear { outputs, .. }, &[src]) => {
                let (weight, bias) = (self.parameter(layer, "weight"), self.parameter(layer, "bias"));
                let dst = self.plain(Shape::new(&[self.size.batch, outputs]));
                self.ops.push(op::Linear { src, weight, bias, dst }.into());
                dst
            }
            (kind, inputs) => unreachable!("{} is {kind:?} with {} inputs", layer.name, inputs.len()),
        };
        self.outputs.push(Some(output));
        self.saved.push(saved);
        Ok(())
    }

    /// The backward half of a layer: parameter gradients first, so that they are ready as early as can be.
    fn backward(&mut self, id: LayerId, layer: &Layer, network: &Network) {
        let input = |index: usize| layer.inputs[index];
        match (&layer.kind, self.saved[id.0]) {
            (LayerKind::Input, _) => {}
            (&LayerKind::Conv { window, .. }, _) => {
                let ddst = self.gradient(id);
                let src = self.output(input(0));
                let (weight, dweight) = (self.parameter(layer, "weight"), self.parameter_gradient(layer, "weight"));
                self.ops.push(op::ConvBackwardWeight { window, src, ddst, dweight }.into());
                if network.layers()[input(0).0].kind != LayerKind::Input {
                    let dsrc = self.activation(self.values[src.0].shape);
                    self.ops.push(op::ConvBackwardData { window, weight, ddst, dsrc }.into());
                    self.gradients[input(0).0].push(dsrc);
                }
            }
            (&LayerKind::BatchNorm { relu, .. }, Saved::BatchNorm { mean, inverse_deviation }) => {
                let ddst = self.gradient(id);
                let src = self.output(input(0));
                let dsrc = self.activation(self.values[src.0].shape);
                let gamma = self.parameter(layer, "weight");
                let dgamma = self.parameter_gradient(layer, "weight");
                let dbeta = self.parameter_gradient(layer, "bias");
                let norm = if relu {
                    let (dst, beta) = (self.output(id), self.parameter(layer, "bias"));
                    op::BatchNormReluBackward {
                        src,
                        dst,
                        gamma,
                        beta,
                        ddst,
                        mean,
                        inverse_deviation,
                        dsrc,
                        dgamma,
                        dbeta,
                    }
                    .into()
                } else {
                    op::BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta }.into()
                };
                self.ops.push(norm);
                self.gradients[input(0).0].push(dsrc);
            }
            (LayerKind::AddRelu, _) => {
                let dst = self.output(id);
                let dsrc = self.activation(self.values[dst.0].shape);
                // Two readers (the usual case) cost one pass over memory, not two.
                let step = match self.gradients[id.0][..] {
                    [ddst_a, ddst_b] => op::SumReluBackward { dst, ddst_a, ddst_b, dsrc }.into(),
                    _ => op::ReluBackward { dst, ddst: self.gradient(id), dsrc }.into(),
                };
                self.ops.push(step);
                for addend in &layer.inputs {
                    self.gradients[addend.0].push(dsrc);
                }
            }
            (&LayerKind::MaxPool { window }, Saved::MaxPool { workspace }) => {
                let ddst = self.gradient(id);
                let dsrc = self.activation(self.values[self.output(input(0)).0].shape);
                self.ops.push(op::MaxPoolBackward { window, ddst, workspace, dsrc }.into());
                self.gradients[input(0).0].push(dsrc);
            }
            (LayerKind::GlobalAvgPool, _) => {
                let ddst = self.gradient(id);
                let dsrc = self.activation(self.values[self.output(input(0)).0].shape);
                self.ops.push(op::GlobalAvgPoolBackward { ddst, dsrc }.into());
                self.gradients[input(0).0].push(dsrc);
            }
            (LayerKind::Linear { .. }, _) => {
                let ddst = self.gradient(id);
                let src = self.output(input(0));
                let weight = self.parameter(layer, "weight");
                let dweight = self.parameter_gradient(layer, "weight");
                let dbias = self.parameter_gradient(layer, "bias");
                self.ops.push(op::LinearBackwardWeight { src, ddst, dweight, dbias }.into());
                let dsrc = self.plain(self.values[src.0].shape);
                self.ops.push(op::LinearBackwardData { weight, ddst, dsrc }.into());
                self.gradients[input(0).0].push(dsrc);
            }
            (kind, _) => unreachable!("{} is {kind:?} and saved nothing", layer.name),
        }
    }

    /// A layer's output.
    fn output(&self, id: LayerId) -> ValueId {
        self.outputs[id.0].expect("nothing but its own operation reads a layer that is part of one")
    }

    /// The gradient of a layer's output: the sum of what its readers left.
    fn gradient(&mut self, id: LayerId) -> ValueId {
        let parts = std::mem::take(&mut self.gradients[id.0]);
        let mut parts = parts.into_iter();
        let mut total = parts.next().expect("every layer's output is read by a later layer");
        for part in parts {
            let dst = self.activation(self.values[total.0].shape);
            self.ops.push(op::Add { a: total, b: part, dst }.into());
            total = dst;
        }
        total
    }

    fn windowed(
        &self,
        layer: &Layer,
        src: ValueId,
        window: op::Window,
        channels: usize,
    ) -> Result<Shape, ProgramError> {
        let src = self.values[src.0].shape;
        let (height, width) = (window.output(src[2]), window.output(src[3]));
        if height == 0 || width == 0 {
            let Size { height, width, .. } = self.size;
            return Err(ProgramError::ImageTooSmall { layer: layer.name.clone(), height, width });
        }
        Ok(Shape::nchw(src[0], channels, height, width))
    }

    /// A new value in the provider's layout.
    fn activation(&mut self, shape: Shape) -> ValueId {
        let bytes = self.kernels.activation_bytes(shape, self.dtype);
        self.push(Value { shape, dtype: self.dtype, format: Format::Activation, bytes, fixed: None, pinned: false })
    }

    /// A new row-major fp32 value.
    fn plain(&mut self, shape: Shape) -> ValueId {
        let bytes = shape.elements() * DType::F32.bytes();
        self.push(Value { shape, dtype: DType::F32, format: Format::Plain, bytes, fixed: None, pinned: false })
    }

    /// New bytes that only the provider understands.
    fn raw(&mut self, bytes: usize) -> ValueId {
        let shape = Shape::new(&[bytes]);
        self.push(Value { shape, dtype: DType::U8, format: Format::Plain, bytes, fixed: None, pinned: false })
    }

    /// A new value that the caller writes or reads.
    fn pinned(&mut self, shape: Shape, dtype: DType, format: Format) -> ValueId {
        let bytes = shape.elements() * dtype.bytes();
        self.push(Value { shape, dtype, format, bytes, fixed: None, pinned: true })
    }

    fn parameter(&mut self, layer: &Layer, part: &str) -> ValueId {
        let entry = entry(self.parameters, layer, part);
        self.stored(entry, self.arenas.parameters)
    }

    fn parameter_gradient(&mut self, layer: &Layer, part: &str) -> ValueId {
        let entry = entry(self.parameters, layer, part);
        self.stored(entry, self.arenas.gradients)
    }

    fn statistic(&mut self, layer: &Layer, part: &str) -> ValueId {
        let entry = entry(self.statistics, layer, part);
        self.stored(entry, self.arenas.statistics)
    }

    fn stored(&mut self, Entry { shape, offset, .. }: Entry, arena: ArenaId) -> ValueId {
        let bytes = shape.elements() * DType::F32.bytes();
        let fixed = Some(Region { arena, offset, bytes });
        self.push(Value { shape, dtype: DType::F32, format: Format::Plain, bytes, fixed, pinned: false })
    }

    fn push(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }

    /// Gives every value its place; returns the tensors by value and the size of the work arena.
    fn place(&self) -> (Vec<Tensor>, usize) {
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

fn entry(table: &ParameterTable, layer: &Layer, part: &str) -> Entry {
    let name = format!("{}.{part}", layer.name);
    table.get(&name).unwrap_or_else(|| unreachable!("the table was made from this network: {name}")).clone()
}
