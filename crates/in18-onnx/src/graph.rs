//! Layers as nodes.

use in18_program::lower::EPSILON;
use in18_program::network::{Layer, LayerKind};
use in18_program::{Network, ParameterTable};
use prost::Message;

use crate::message::{
    Attribute, Dimension, Extent, Graph, Model, Node, OperatorSet, StringEntry, Tensor, TensorShape, TensorType, Type,
    ValueInfo,
};

/// Of the operators: every one used here has had its present form since version 15, and older runtimes know it.
const OPSET: i64 = 17;

/// The file format's version that came with [`OPSET`].
const IR_VERSION: i64 = 8;

const INPUT: &str = "input";
const OUTPUT: &str = "logits";

/// The bytes of an ONNX model. `values` gives each parameter and running statistic, by torchvision's name, row-major.
///
/// # Errors
/// Those of `values`.
pub fn encode<E>(
    network: &Network,
    classes: &[String],
    mut values: impl FnMut(&str) -> Result<Vec<f32>, E>,
) -> Result<Vec<u8>, E> {
    let mut initializer = Vec::new();
    for table in [ParameterTable::parameters(network), ParameterTable::statistics(network)] {
        for entry in table.entries() {
            initializer.push(Tensor {
                dims: entry.shape.extents().iter().map(|&extent| extent as i64).collect(),
                data_type: Tensor::FLOAT,
                name: entry.name.clone(),
                raw_data: values(&entry.name)?.into_iter().flat_map(f32::to_le_bytes).collect(),
            });
        }
    }
    let free = |name: &str| Extent::Free(name.to_owned());
    let fixed = |extent: usize| Extent::Fixed(extent as i64);
    let graph = Graph {
        name: "imagenet18".to_owned(),
        node: nodes(network),
        initializer,
        input: vec![value(INPUT, [free("batch"), fixed(3), free("height"), free("width")].into())],
        output: vec![value(OUTPUT, [free("batch"), fixed(network.classes())].into())],
    };
    let names = serde_json::Value::from(classes).to_string();
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "imagenet18".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: vec![StringEntry { key: "classes".to_owned(), value: names }],
    };
    Ok(model.encode_to_vec())
}

fn value(name: &str, extents: Vec<Extent>) -> ValueInfo {
    let dim = extents.into_iter().map(|extent| Dimension { value: Some(extent) }).collect();
    let tensor_type = TensorType { elem_type: Tensor::FLOAT, shape: Some(TensorShape { dim }) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
}

fn nodes(network: &Network) -> Vec<Node> {
    let layers = network.layers();
    let last = layers.len() - 1;
    // A layer's output bears its number: a parameter's name always has a dot, so that the two never meet.
    let output = |index: usize| match (&layers[index].kind, index) {
        (LayerKind::Input, _) => INPUT.to_owned(),
        (_, index) if index == last => OUTPUT.to_owned(),
        (_, index) => format!("y{index}"),
    };
    let mut nodes = Vec::new();
    for (index, Layer { name, kind, inputs }) in layers.iter().enumerate() {
        let x: Vec<String> = inputs.iter().map(|input| output(input.0)).collect();
        let y = output(index);
        let inner = format!("{y}_inner");
        let with = |parts: &[&str]| {
            let parameters = parts.iter().map(|part| format!("{name}.{part}"));
            x.iter().cloned().chain(parameters).collect::<Vec<_>>()
        };
        match *kind {
            LayerKind::Input => {}
            LayerKind::Conv { window, .. } => {
                nodes.push(node(
                    name,
                    "Conv",
                    with(&["weight"]),
                    &y,
                    sliding(window.kernel, window.stride, window.padding),
                ));
            }
            LayerKind::BatchNorm { relu, .. } => {
                let operands = with(&["weight", "bias", "running_mean", "running_var"]);
                let normalised = if relu { &inner } else { &y };
                nodes.push(node(name, "BatchNormalization", operands, normalised, vec![float("epsilon", EPSILON)]));
                if relu {
                    nodes.push(node(&format!("{name}.relu"), "Relu", vec![inner], &y, vec![]));
                }
            }
            LayerKind::AddRelu => {
                nodes.push(node(&format!("{name}.add"), "Add", x, &inner, vec![]));
                nodes.push(node(name, "Relu", vec![inner], &y, vec![]));
            }
            LayerKind::MaxPool { window } => {
                nodes.push(node(name, "MaxPool", x, &y, sliding(window.kernel, window.stride, window.padding)));
            }
            LayerKind::GlobalAvgPool => {
                nodes.push(node(name, "GlobalAveragePool", x, &inner, vec![]));
                nodes.push(node(&format!("{name}.flatten"), "Flatten", vec![inner], &y, vec![int("axis", 1)]));
            }
            LayerKind::Linear { .. } => {
                nodes.push(node(name, "Gemm", with(&["weight", "bias"]), &y, vec![int("transB", 1)]));
            }
        }
    }
    nodes
}

fn node(name: &str, op: &str, input: Vec<String>, output: &str, attribute: Vec<Attribute>) -> Node {
    Node { input, output: vec![output.to_owned()], name: name.to_owned(), op_type: op.to_owned(), attribute }
}

fn sliding(kernel: usize, stride: usize, padding: usize) -> Vec<Attribute> {
    vec![
        ints("kernel_shape", vec![kernel as i64; 2]),
        ints("strides", vec![stride as i64; 2]),
        ints("pads", vec![padding as i64; 4]),
    ]
}

fn float(name: &str, f: f32) -> Attribute {
    Attribute { name: name.to_owned(), f: Some(f), r#type: Attribute::FLOAT, ..Attribute::default() }
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: Some(i), r#type: Attribute::INT, ..Attribute::default() }
}

fn ints(name: &str, ints: Vec<i64>) -> Attribute {
    Attribute { name: name.to_owned(), ints, r#type: Attribute::INTS, ..Attribute::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use in18_program::Arch;
    use std::collections::HashSet;
    use std::convert::Infallible;

    #[test]
    fn every_operand_is_made_before_it_is_used() {
        for arch in Arch::ALL {
            let network = arch.network(2);
            let classes = ["a".to_owned(), "b\"".to_owned()];
            let bytes = encode::<Infallible>(&network, &classes, |_| Ok(vec![])).unwrap();
            let model = Model::decode(bytes.as_slice()).unwrap();
            let graph = model.graph.unwrap();
            let mut made: HashSet<String> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
            assert_eq!(made.len(), graph.initializer.len());
            made.insert(INPUT.to_owned());
            for node in &graph.node {
                assert!(node.input.iter().all(|input| made.contains(input)), "{arch}: {}", node.name);
                assert!(node.output.iter().all(|output| made.insert(output.clone())), "{arch}: {}", node.name);
            }
            assert!(made.contains(OUTPUT), "{arch}");
            assert_eq!(model.metadata_props[0].value, r#"["a","b\""]"#);
        }
    }
}
