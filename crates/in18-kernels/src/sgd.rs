//! One range's update by stochastic gradient descent with momentum.

use in18_tensor::Region;

/// `v ← momentum·v + (gradient_scale·g + weight_decay·w)`, then `w ← w − rate·v`, elementwise over fp32 regions of one length.
///
/// This is PyTorch's `torch.optim.SGD` without dampening and Nesterov's term (Sutskever et al., *On the
/// importance of initialization and momentum in deep learning*, 2013, in PyTorch's arrangement).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdUpdate {
    /// w, read and written.
    pub parameter: Region,
    /// v, read and written.
    pub velocity: Region,
    /// g, read; what it holds afterwards is not said.
    pub gradient: Region,
    /// What gradients are multiplied with: 1 over the loss's scale, and over the number of ranks where they are sums.
    pub gradient_scale: f32,
    /// The learning rate.
    pub rate: f32,
    /// The share of the last velocity that is kept.
    pub momentum: f32,
    /// The L2 penalty.
    pub weight_decay: f32,
}
