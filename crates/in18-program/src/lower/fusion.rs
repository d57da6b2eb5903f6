//! Which layers run as one operation. In training the sum and the ReLU that end a residual block join the normalisation
//! before them; in an evaluation, where statistics are fixed, all of these join the convolution.

use in18_kernels::op;

use super::{EPSILON, Lowering, MOMENTUM, Saved, ValueId};
use crate::error::ProgramError;
use crate::model::Mode;
use crate::network::{Layer, LayerId, LayerKind, Network};

/// How a layer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// By its own operation.
    Whole,
    /// As the beginning of a later layer's operation: it has no output of its own.
    Beginning,
    /// Training's sum and ReLU, with the normalisation of one of the paths.
    NormAddRelu {
        /// That path's normalisation.
        norm: LayerId,
        /// The other path's end.
        addend: LayerId,
    },
    /// Evaluation's normalisation, with the convolution before it.
    ConvNorm {
        /// The convolution.
        conv: LayerId,
    },
    /// Evaluation's sum and ReLU, with the convolution and the normalisation of one of the paths.
    ConvNormAddRelu {
        /// That path's convolution.
        conv: LayerId,
        /// Its normalisation.
        norm: LayerId,
        /// The other path's end.
        addend: LayerId,
    },
}

/// Each layer's part.
pub(super) fn parts(network: &Network, mode: Mode) -> Vec<Part> {
    let layers = network.layers();
    let mut readers = vec![Vec::new(); layers.len()];
    for (id, layer) in layers.iter().enumerate() {
        layer.inputs.iter().for_each(|input| readers[input.0].push(LayerId(id)));
    }
    let only_reader = |id: LayerId| match readers[id.0][..] {
        [reader] => Some(reader),
        _ => None,
    };
    let mut parts = vec![Part::Whole; layers.len()];
    for (id, layer) in layers.iter().enumerate() {
        let id = LayerId(id);
        match (&layer.kind, &layer.inputs[..]) {
            (LayerKind::BatchNorm { .. }, &[conv])
                if mode == Mode::Evaluation
                    && matches!(layers[conv.0].kind, LayerKind::Conv { .. })
                    && only_reader(conv) == Some(id) =>
            {
                parts[conv.0] = Part::Beginning;
                parts[id.0] = Part::ConvNorm { conv };
            }
            (LayerKind::AddRelu, &[a, b]) => {
                // The path that ends last has nothing to wait for: what it is added to is there already.
                let mut paths = [(a, b), (b, a)];
                paths.sort_by_key(|(path, _)| std::cmp::Reverse(path.0));
                for (norm, addend) in paths {
                    let is_plain = matches!(layers[norm.0].kind, LayerKind::BatchNorm { relu: false, .. });
                    if !is_plain || a == b || only_reader(norm) != Some(id) {
                        continue;
                    }
                    parts[id.0] = match (mode, parts[norm.0]) {
                        (Mode::Training, Part::Whole) => Part::NormAddRelu { norm, addend },
                        // The sum takes the addend's place, which nobody may want after it.
                        (Mode::Evaluation, Part::ConvNorm { conv })
                            if readers[addend.0].iter().all(|reader| reader.0 <= id.0) =>
                        {
                            Part::ConvNormAddRelu { conv, norm, addend }
                        }
                        _ => continue,
                    };
                    parts[norm.0] = Part::Beginning;
                    break;
                }
            }
            _ => {}
        }
    }
    parts
}

impl Lowering<'_> {
    /// The operation of a layer that others are part of; none if the layer is part of another.
    pub(super) fn fused(
        &mut self,
        part: Part,
        network: &Network,
        layer: &Layer,
    ) -> Result<Option<ValueId>, ProgramError> {
        let (conv, norm, addend) = match part {
            Part::Whole | Part::Beginning => return Ok(None),
            Part::NormAddRelu { norm, addend } => return Ok(Some(self.norm_add_relu(network, norm, addend))),
            Part::ConvNorm { conv } => (conv, layer, None),
            Part::ConvNormAddRelu { conv, norm, addend } => {
                (conv, &network.layers()[norm.0], Some(self.output(addend)))
            }
        };
        let conv = &network.layers()[conv.0];
        let (&LayerKind::Conv { window, outputs, .. }, &LayerKind::BatchNorm { relu, .. }) = (&conv.kind, &norm.kind)
        else {
            unreachable!("{} and {} are a convolution and its normalisation", conv.name, norm.name)
        };
        let src = self.output(conv.inputs[0]);
        let weight = self.parameter(conv, "weight");
        let (gamma, beta) = (self.parameter(norm, "weight"), self.parameter(norm, "bias"));
        let running_mean = self.statistic(norm, "running_mean");
        let running_variance = self.statistic(norm, "running_var");
        let shape = self.windowed(conv, src, window, outputs)?;
        let dst = addend.unwrap_or_else(|| self.activation(shape));
        let epsilon = EPSILON;
        let op = match addend {
            None => {
                op::ConvNorm { window, epsilon, relu, src, weight, gamma, beta, running_mean, running_variance, dst }
                    .into()
            }
            Some(_) => {
                op::ConvNormAddRelu { window, epsilon, src, weight, gamma, beta, running_mean, running_variance, dst }
                    .into()
            }
        };
        self.ops.push(op);
        Ok(Some(dst))
    }

    fn norm_add_relu(&mut self, network: &Network, norm: LayerId, addend: LayerId) -> ValueId {
        let layer = &network.layers()[norm.0];
        let (src, addend) = (self.output(layer.inputs[0]), self.output(addend));
        let (gamma, beta) = (self.parameter(layer, "weight"), self.parameter(layer, "bias"));
        let running_mean = self.statistic(layer, "running_mean");
        let running_variance = self.statistic(layer, "running_var");
        let dst = self.activation(self.values[src.0].shape);
        let [mean, inverse_deviation] = [(); 2].map(|()| self.plain(self.values[gamma.0].shape));
        let (epsilon, momentum) = (EPSILON, MOMENTUM);
        let op = op::BatchNormAddRelu {
            epsilon,
            momentum,
            src,
            addend,
            gamma,
            beta,
            running_mean,
            running_variance,
            dst,
            mean,
            inverse_deviation,
        };
        self.ops.push(op.into());
        self.saved[norm.0] = Saved::BatchNorm { mean, inverse_deviation };
        dst
    }
}

#[cfg(test)]
mod tests {
    use in18_kernels::op::Window;

    use super::*;
    use crate::Arch;

    fn counts(network: &Network, mode: Mode) -> [usize; 5] {
        let parts = parts(network, mode);
        let count = |is: fn(&Part) -> bool| parts.iter().filter(|part| is(part)).count();
        [
            count(|part| *part == Part::Whole),
            count(|part| *part == Part::Beginning),
            count(|part| matches!(part, Part::NormAddRelu { .. })),
            count(|part| matches!(part, Part::ConvNorm { .. })),
            count(|part| matches!(part, Part::ConvNormAddRelu { .. })),
        ]
    }

    #[test]
    fn a_resnet_in_training_has_one_operation_a_normalisation() {
        // A block's last normalisation is part of its sum.
        assert_eq!(counts(&Arch::Resnet18.network(10), Mode::Training), [4 + 20 + 12, 8, 8, 0, 0]);
        assert_eq!(counts(&Arch::Resnet50.network(10), Mode::Training), [4 + 53 + 37, 16, 16, 0, 0]);
    }

    #[test]
    fn a_resnet_in_evaluation_has_one_operation_a_convolution() {
        // Whole: input, max pooling, mean, classifier. A block's last normalisation is part of its sum.
        assert_eq!(counts(&Arch::Resnet18.network(10), Mode::Evaluation), [4, 20 + 8, 0, 12, 8]);
        assert_eq!(counts(&Arch::Resnet50.network(10), Mode::Evaluation), [4, 53 + 16, 0, 37, 16]);
    }

    #[test]
    fn what_others_read_stays_whole() {
        let window = Window { kernel: 1, stride: 1, padding: 0 };
        let mut network = Network::default();
        let input = network.push("input", LayerKind::Input, &[]);
        let conv = network.push("conv", LayerKind::Conv { window, inputs: 3, outputs: 3 }, &[input]);
        let kind = LayerKind::BatchNorm { channels: 3, relu: false, ends_residual: false };
        let norm = network.push("norm", kind.clone(), &[conv]);
        let sum = network.push("sum", LayerKind::AddRelu, &[norm, conv]);
        let again = network.push("again", kind, &[sum]);
        network.push("last", LayerKind::AddRelu, &[again, sum]);
        assert_eq!(parts(&network, Mode::Evaluation), [Part::Whole; 6]);
    }
}
