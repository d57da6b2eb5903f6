//! Stochastic gradient descent with momentum over groups of parameters.

use std::ops::Range;

use in18_kernels::SgdUpdate;
use in18_tensor::{ArenaId, Region};

/// A parameter as the optimizer sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// First byte in the arenas of parameters, velocities and gradients.
    pub offset: usize,
    /// Length, in bytes.
    pub bytes: usize,
    /// The L2 penalty on it.
    pub weight_decay: f32,
}

/// Parameters that lie together and are treated alike.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    bytes: Range<usize>,
    weight_decay: f32,
}

/// SGD with momentum, PyTorch's, over all parameters of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    groups: Vec<Group>,
    momentum: f32,
}

impl Sgd {
    /// Groups parameters, given in the order of their offsets. Neighbours with one penalty become one range, the
    /// padding between them included (it is zeros, and stays so).
    pub fn new(parameters: impl IntoIterator<Item = Parameter>, momentum: f32) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for Parameter { offset, bytes, weight_decay } in parameters {
            match groups.last_mut() {
                Some(last) if last.weight_decay == weight_decay => last.bytes.end = offset + bytes,
                _ => groups.push(Group { bytes: offset..offset + bytes, weight_decay }),
            }
        }
        Sgd { groups, momentum }
    }

    /// The share of the last velocity that is kept.
    pub fn momentum(&self) -> f32 {
        self.momentum
    }

    /// The updates of one step at a learning rate; gradients are multiplied with `gradient_scale` first. The arenas are those
    /// of parameters, velocities and gradients.
    pub fn updates(
        &self,
        rate: f32,
        gradient_scale: f32,
        [parameters, velocities, gradients]: [ArenaId; 3],
    ) -> Vec<SgdUpdate> {
        let region = |arena, group: &Group| Region { arena, offset: group.bytes.start, bytes: group.bytes.len() };
        self.groups
            .iter()
            .map(|group| SgdUpdate {
                parameter: region(parameters, group),
                velocity: region(velocities, group),
                gradient: region(gradients, group),
                gradient_scale,
                rate,
                momentum: self.momentum,
                weight_decay: group.weight_decay,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_one_penalty_are_one_update() {
        let parameter = |offset, bytes, weight_decay| Parameter { offset, bytes, weight_decay };
        let sgd = Sgd::new(
            [
                parameter(0, 40, 1e-4),
                parameter(64, 64, 1e-4),
                parameter(128, 8, 0.0),
                parameter(192, 8, 0.0),
                parameter(256, 4, 1e-4),
            ],
            0.9,
        );
        let updates = sgd.updates(0.5, 1.0, [ArenaId(1), ArenaId(2), ArenaId(3)]);
        let ranges: Vec<_> = updates.iter().map(|u| (u.parameter.offset, u.parameter.bytes, u.weight_decay)).collect();
        assert_eq!(ranges, [(0, 128, 1e-4), (128, 72, 0.0), (256, 4, 1e-4)]);
        for update in &updates {
            assert_eq!((update.rate, update.momentum), (0.5, 0.9));
            assert_eq!(update.velocity, Region { arena: ArenaId(2), ..update.parameter });
            assert_eq!(update.gradient, Region { arena: ArenaId(3), ..update.parameter });
        }
    }
}
