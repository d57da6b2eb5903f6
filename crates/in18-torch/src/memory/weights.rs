//! Copies of convolution weights in the type and layout of their activations, made again when the
//! parameters have changed. Evaluation's normalisation may be folded into a copy.

use in18_kernels::KernelError;
use in18_tensor::{DType, Format, Shape, Tensor};

use super::{Context, strides};
use crate::safe::{Device, Element, Memory, View, check};
use crate::sys::torch;

/// Names a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyId(usize);

/// All copies. They live as long as the provider.
#[derive(Default)]
pub struct WeightCopies {
    copies: Vec<WeightCopy>,
}

/// What a copy is made of.
#[derive(Clone, Copy, PartialEq)]
pub struct Ingredients {
    /// The parameter: (O, I, K, K) fp32.
    pub weight: Tensor,
    /// The type of the copy.
    pub dtype: DType,
    /// The normalisation to fold in.
    pub norm: Option<Norm>,
}

/// The normalisation of evaluation.
#[derive(Clone, Copy, PartialEq)]
pub struct Norm {
    /// Added to the variance.
    pub epsilon: f32,
    /// (O) fp32.
    pub gamma: Tensor,
    /// (O) fp32.
    pub beta: Tensor,
    /// (O) fp32.
    pub running_mean: Tensor,
    /// (O) fp32.
    pub running_variance: Tensor,
}

struct WeightCopy {
    of: Ingredients,
    /// The copy's own memory; its views lie in it.
    _memory: Memory,
    weight: View,
    /// (O), of the activations' type, as libtorch wants it: the part of the normalisation that does
    /// not fold into the weights.
    bias: Option<View>,
    /// The generations of the two arenas that it was made from; `None` until it is made.
    made_of: Option<[u64; 2]>,
}

impl Context {
    /// A copy for a convolution whose activations have the type `dtype`; without content at first.
    pub fn weight_copy(&mut self, of: Ingredients) -> Result<CopyId, KernelError> {
        if let Some(known) = self.weights.copies.iter().position(|copy| copy.of == of) {
            return Ok(CopyId(known));
        }
        let copy = WeightCopy::new(of, self.device)?;
        self.weights.copies.push(copy);
        Ok(CopyId(self.weights.copies.len() - 1))
    }

    /// A copy's weights and bias, made again if their ingredients have changed.
    pub fn fresh_weights(&mut self, id: CopyId) -> Result<(&View, Option<&View>), KernelError> {
        let of = self.weights.copies[id.0].of;
        let generation = |tensor: &Tensor| self.arena(tensor.region.arena).map(|arena| arena.generation);
        // Parameters lie in one arena and statistics in another.
        let statistics = of.norm.map_or(Ok(0), |norm| generation(&norm.running_mean))?;
        let current = Some([generation(&of.weight)?, statistics]);
        if self.weights.copies[id.0].made_of != current {
            let weight = self.view(&of.weight)?;
            let norm = of.norm.map(|norm| NormViews::new(self, &norm)).transpose()?;
            let copy = &mut self.weights.copies[id.0];
            copy.make(&weight, norm.as_ref())?;
            copy.made_of = current;
        }
        let WeightCopy { weight, bias, .. } = &self.weights.copies[id.0];
        Ok((weight, bias.as_ref()))
    }
}

struct NormViews {
    epsilon: f32,
    /// gamma, beta, mean, variance.
    values: [View; 4],
}

impl NormViews {
    fn new(context: &Context, norm: &Norm) -> Result<Self, KernelError> {
        let view = |tensor: &Tensor| context.view(tensor);
        let statistics = (view(&norm.running_mean)?, view(&norm.running_variance)?);
        let values = [view(&norm.gamma)?, view(&norm.beta)?, statistics.0, statistics.1];
        Ok(NormViews { epsilon: norm.epsilon, values })
    }
}

impl WeightCopy {
    fn new(of: Ingredients, device: Device) -> Result<Self, KernelError> {
        let (shape, element) = (of.weight.shape, Element::Of(of.dtype));
        let weights = shape.elements() * element.bytes();
        let outputs = Shape::new(&[shape[0]]);
        let memory = Memory::new(weights + outputs.elements() * element.bytes(), device)?;
        let weight = memory.view(0, element, shape.extents(), &strides(shape, Format::ChannelsLast))?;
        let bias = match of.norm {
            Some(_) => Some(memory.view(weights, element, outputs.extents(), &strides(outputs, Format::Plain))?),
            None => None,
        };
        Ok(WeightCopy { of, _memory: memory, weight, bias, made_of: None })
    }

    fn make(&mut self, weight: &View, norm: Option<&NormViews>) -> Result<(), KernelError> {
        let (Some(NormViews { epsilon, values }), Some(bias)) = (norm, &self.bias) else {
            return self.weight.copy_from(weight);
        };
        let [gamma, beta, mean, variance] = values.each_ref().map(View::raw);
        let (folded, epsilon) = (self.weight.raw(), f64::from(*epsilon));
        // SAFETY: all are views of live memory.
        let code = unsafe { torch().fold(folded, bias.raw(), weight.raw(), gamma, beta, mean, variance, epsilon) };
        check(code, || format!("folding a normalisation into weights {}", self.of.weight.shape))
    }
}
