//! Copies of convolution weights, in the type and layout that primitives need, or transformed. A
//! copy is made again when the weights have changed.
//!
//! Programs of several image sizes, and the forward and backward halves of a program, share a copy
//! if they need the same layout. A copy for evaluation has a normalisation folded in, and a bias
//! beside it.

mod pairs;

use in18_kernels::KernelError;
use in18_tensor::{DType, Region, Tensor, align_up};

use self::pairs::Pairs;
use super::Context;
use crate::arena::Arena;
use crate::fold::{Fold, Statistics};
use crate::layout;
use crate::packed::weights::{self as packed, PackedWeights};
use crate::safe::{Call, MemoryDesc, PrimitiveDesc};
use crate::sys;
use crate::threads::{Shared, parallel, part};
use crate::winograd::weights::{self as winograd, Parts, TransformedWeights};

/// Identifies a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyId(usize);

impl CopyId {
    /// Stands for a copy when steps are only described, because then there are no copies.
    const NONE: CopyId = CopyId(usize::MAX);
}

struct WeightCopy {
    /// The fp32 weights that were copied.
    source: Region,
    fold: Option<Fold>,
    form: Form,
    memory: Arena,
    /// fp32, one value per output channel, if a normalisation is folded in.
    bias: Arena,
    /// The generations of the arenas of the source and of the statistics when the copy was made;
    /// `None` before the first use.
    made_of: Option<[u64; 2]>,
}

/// The form of a copy.
enum Form {
    /// A primitive's layout.
    Layout(Layout),
    /// The form that products of Winograd's convolution read; always with a normalisation.
    Winograd(TransformedWeights),
    /// The form that products of packed matrices read.
    Packed(PackedWeights),
}

struct Layout {
    desc: MemoryDesc,
    /// The number of output channels.
    outputs: usize,
    reorder: Reorder,
    /// The offset in scratch memory of the scaled weights that are to be reordered.
    scaled_at: usize,
}

/// How weights are brought into a primitive's layout.
enum Reorder {
    OneDnn(Call),
    Pairs(Pairs),
}

/// All copies.
#[derive(Default)]
pub struct WeightCopies {
    copies: Vec<WeightCopy>,
}

impl WeightCopies {
    fn find(&self, source: Region, fold: Option<Fold>, is_form: impl Fn(&Form) -> bool) -> Option<CopyId> {
        let is_known = |copy: &WeightCopy| copy.source == source && copy.fold == fold && is_form(&copy.form);
        self.copies.iter().position(is_known).map(CopyId)
    }

    fn add(&mut self, copy: WeightCopy) -> CopyId {
        self.copies.push(copy);
        CopyId(self.copies.len() - 1)
    }
}

impl Context {
    /// The copy of a (O, I, K, K) fp32 weight in the layout `desc`. The copy is new or shared.
    pub fn weight_copy(&mut self, weight: &Tensor, desc: &MemoryDesc) -> Result<CopyId, KernelError> {
        self.copy_of(weight, desc, None)
    }

    /// Like [`weight_copy`](Self::weight_copy), with a normalisation folded in.
    pub fn folded_weight_copy(
        &mut self,
        weight: &Tensor,
        desc: &MemoryDesc,
        fold: Fold,
    ) -> Result<CopyId, KernelError> {
        self.copy_of(weight, desc, Some(fold))
    }

    fn copy_of(&mut self, weight: &Tensor, desc: &MemoryDesc, fold: Option<Fold>) -> Result<CopyId, KernelError> {
        if self.describes_only {
            return Ok(CopyId::NONE);
        }
        let is_known = |form: &Form| matches!(form, Form::Layout(layout) if layout.desc == *desc);
        if let Some(known) = self.weights.find(weight.region, fold, is_known) {
            return Ok(known);
        }
        let source = layout::plain(weight.shape.extents(), DType::F32)?;
        check_length(weight)?;
        let (reorder, scaled_at) = match Pairs::of(weight, desc, self.isa)? {
            Some(pairs) => (Reorder::Pairs(pairs), 0),
            None => {
                let reorder = PrimitiveDesc::reorder(&source, desc, &self.engine, &self.attributes)?;
                let scratchpad = reorder.operand(sys::QUERY_SCRATCHPAD)?;
                let operands = [(sys::ARG_SRC, &source), (sys::ARG_DST, desc), (sys::ARG_SCRATCHPAD, &scratchpad)];
                let call =
                    Call::new(&reorder, &operands, &self.engine, format!("reorder of weights {}", weight.shape))?;
                (Reorder::OneDnn(call), align_up(scratchpad.bytes()))
            }
        };
        let outputs = weight.shape[0];
        let (scaled_bytes, bias_bytes) = match fold {
            Some(_) => (source.bytes(), outputs * size_of::<f32>()),
            None => (0, 0),
        };
        self.reserve_scratch(scaled_at + scaled_bytes)?;
        let (memory, bias) = (Arena::new(desc.bytes())?, Arena::new(bias_bytes)?);
        let form = Form::Layout(Layout { desc: desc.clone(), outputs, reorder, scaled_at });
        Ok(self.weights.add(WeightCopy { source: weight.region, fold, form, memory, bias, made_of: None }))
    }

    /// The copy of a (O, I, 3, 3) fp32 weight for Winograd's convolution in an evaluation, with a
    /// normalisation folded in. The copy is new or shared.
    pub fn winograd_copy(&mut self, weight: &Tensor, form: winograd::Form, fold: Fold) -> Result<CopyId, KernelError> {
        if self.describes_only {
            return Ok(CopyId::NONE);
        }
        let transformed = TransformedWeights::new(weight, form, self.layout.block);
        let is_known = |form: &Form| matches!(form, Form::Winograd(known) if *known == transformed);
        if let Some(known) = self.weights.find(weight.region, Some(fold), is_known) {
            return Ok(known);
        }
        check_length(weight)?;
        let memory = Arena::new(transformed.elements() * size_of::<f32>())?;
        let bias = Arena::new(weight.shape[0] * size_of::<f32>())?;
        let form = Form::Winograd(transformed);
        Ok(self.weights.add(WeightCopy { source: weight.region, fold: Some(fold), form, memory, bias, made_of: None }))
    }

    /// The copy of a (O, I, K, K) fp32 weight for products of packed matrices, with a normalisation
    /// folded in if there is one. The copy is new or shared. It always has a bias.
    pub fn packed_copy(
        &mut self,
        weight: &Tensor,
        packed: PackedWeights,
        fold: Option<Fold>,
    ) -> Result<CopyId, KernelError> {
        if self.describes_only {
            return Ok(CopyId::NONE);
        }
        let is_known = |form: &Form| matches!(form, Form::Packed(known) if *known == packed);
        if let Some(known) = self.weights.find(weight.region, fold, is_known) {
            return Ok(known);
        }
        check_length(weight)?;
        let memory = Arena::new(packed.words() * size_of::<f32>())?;
        let bias = Arena::new(packed.bias_words() * size_of::<f32>())?;
        let form = Form::Packed(packed);
        Ok(self.weights.add(WeightCopy { source: weight.region, fold, form, memory, bias, made_of: None }))
    }

    /// The address of a copy, brought up to date first.
    ///
    /// Updating the copy uses the start of the scratch memory. It happens before the primitive that
    /// reads the copy runs, so that primitive may overwrite the scratch memory.
    pub fn refreshed_weights(&mut self, id: CopyId) -> Result<*mut u8, KernelError> {
        let copy = &self.weights.copies[id.0];
        let (source, to) = (copy.source, copy.memory.start());
        let statistics = copy.fold.map_or(source, |fold| fold.mean);
        let generations = [self.block(source.arena)?.generation, self.block(statistics.arena)?.generation];
        if copy.made_of == Some(generations) {
            return Ok(to);
        }
        let from = self.address(&source)?;
        let statistics = copy.fold.map(|fold| self.statistics(fold)).transpose()?;
        match (&copy.form, statistics) {
            (Form::Layout(layout), statistics) => {
                let from = statistics.map_or(from, |statistics| self.scale(copy, layout, from, statistics));
                // SAFETY: the source region was checked, the copy's memory is as large as its
                // description says, and the scratch memory was reserved when the copy was made.
                unsafe {
                    match &layout.reorder {
                        Reorder::OneDnn(call) => call.run(&self.stream, &[from, to, self.scratch.start()])?,
                        Reorder::Pairs(pairs) => pairs.copy(from, to),
                    }
                }
            }
            (Form::Winograd(transformed), Some(statistics)) => {
                let (weights, to, bias) = (Shared::new(from), Shared::new(to), Shared::new(copy.bias.start()));
                // SAFETY: when the copy was made, the source region and the statistics were
                // compared with the shape, and the memory was made for that shape.
                unsafe { transformed.transform(self.isa, Parts { weights, statistics, to, bias }) }
            }
            (Form::Winograd(_), None) => unreachable!("made with a normalisation"),
            (Form::Packed(packed), statistics) => {
                let (weights, to, bias) = (Shared::new(from), Shared::new(to), Shared::new(copy.bias.start()));
                // SAFETY: as above.
                unsafe { packed.pack(self.isa, packed::Parts { weights, statistics, to, bias }) }
            }
        }
        self.weights.copies[id.0].made_of = Some(generations);
        Ok(to)
    }

    /// The address of a copy's bias, brought up to date first.
    pub fn refreshed_bias(&mut self, id: CopyId) -> Result<*mut u8, KernelError> {
        self.refreshed_weights(id)?;
        Ok(self.weights.copies[id.0].bias.start())
    }

    fn statistics(&self, fold: Fold) -> Result<Statistics, KernelError> {
        let address = |region: &Region| Ok::<_, KernelError>(Shared::new(self.address(region)?));
        let (gamma, beta) = (address(&fold.gamma)?, address(&fold.beta)?);
        let (mean, variance) = (address(&fold.mean)?, address(&fold.variance)?);
        Ok(Statistics { epsilon: fold.epsilon, gamma, beta, mean, variance })
    }

    /// Computes a copy's bias, and its scaled weights in the scratch memory. Returns the address of
    /// the scaled weights.
    fn scale(&self, copy: &WeightCopy, layout: &Layout, from: *mut u8, statistics: Statistics) -> *mut u8 {
        let weight = Shared::<f32>::new(from);
        // SAFETY: the scratch memory was reserved when the copy was made.
        let scaled = unsafe { self.scratch.start().add(layout.scaled_at) };
        let (to, bias) = (Shared::<f32>::new(scaled), Shared::<f32>::new(copy.bias.start()));
        let (outputs, taps) = (layout.outputs, copy.source.bytes / size_of::<f32>() / layout.outputs);
        parallel(|thread, threads| {
            for o in part(outputs, 1, thread, threads) {
                // SAFETY: the compilation of the operation checked that each region holds one value
                // per channel, and the source `taps` values per channel. No two threads have the
                // same channel.
                unsafe {
                    let (scale, bias_of_o) = statistics.affine(o);
                    bias.at(o).write(bias_of_o);
                    for tap in o * taps..(o + 1) * taps {
                        to.at(tap).write(*weight.at(tap) * scale);
                    }
                }
            }
        });
        scaled
    }
}

/// Compares the region of fp32 weights with their shape.
fn check_length(weight: &Tensor) -> Result<(), KernelError> {
    let (expected, got) = (weight.shape.elements() * size_of::<f32>(), weight.region.bytes);
    let what = "weights of a convolution, in bytes";
    if got < expected { Err(KernelError::Length { what, expected, got }) } else { Ok(()) }
}
