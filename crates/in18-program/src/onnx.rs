//! A layer as ONNX nodes: what each node is, without the file format.

use in18_kernels::op::Window;

/// A node of a layer's chain: the first takes the layer's inputs, each other the output of the one
/// before, and the last gives the layer's output.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxNode {
    /// ONNX's name of the operator.
    pub op_type: &'static str,
    /// Follows the layer's name in the name of the node.
    pub suffix: &'static str,
    /// The layer's parameters and statistics that it takes after its inputs, by their names within
    /// the layer.
    pub parameters: &'static [&'static str],
    /// Constants that it takes after its parameters.
    pub constants: Vec<OnnxConstant>,
    /// Names and values.
    pub attributes: Vec<(&'static str, OnnxAttribute)>,
}

/// A tensor that is part of the graph, but no parameter of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxConstant {
    /// Its name within the layer.
    pub name: &'static str,
    /// Its extents.
    pub extents: Vec<usize>,
    /// fp32, row-major.
    pub values: Vec<f32>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum OnnxAttribute {
    /// A number.
    Float(f32),
    /// A whole number.
    Int(i64),
    /// Whole numbers.
    Ints(Vec<i64>),
}

impl OnnxNode {
    /// A node with the layer's name, without parameters and attributes.
    pub fn new(op_type: &'static str) -> Self {
        OnnxNode { op_type, suffix: "", parameters: &[], constants: Vec::new(), attributes: Vec::new() }
    }

    /// The same node with a suffix to the layer's name, because every node of a graph needs a name
    /// of its own.
    pub fn named(self, suffix: &'static str) -> Self {
        OnnxNode { suffix, ..self }
    }

    /// The same node with the layer's parameters of these names.
    pub fn parameters(self, parameters: &'static [&'static str]) -> Self {
        OnnxNode { parameters, ..self }
    }

    /// The same node with one more constant.
    pub fn constant(mut self, constant: OnnxConstant) -> Self {
        self.constants.push(constant);
        self
    }

    /// The same node with one more attribute.
    pub fn attribute(mut self, name: &'static str, value: OnnxAttribute) -> Self {
        self.attributes.push((name, value));
        self
    }

    /// The same node with the attributes of a sliding window.
    pub fn window(self, window: Window) -> Self {
        let ints = |value: usize, count: usize| OnnxAttribute::Ints(vec![value as i64; count]);
        self.attribute("kernel_shape", ints(window.kernel, 2))
            .attribute("strides", ints(window.stride, 2))
            .attribute("pads", ints(window.padding, 4))
    }
}
