//! A network as a graph. Each layer says which nodes it consists of. This file joins them.

use in18_program::onnx::{OnnxAttribute, OnnxConstant, OnnxNode};
use in18_program::{Network, Node as Layer, ParameterTable};
use prost::Message;

use super::message::{
    Attribute, Dimension, Extent, Graph, Model, Node, OperatorSet, StringEntry, Tensor, TensorShape, TensorType, Type,
    ValueInfo,
};

/// The version of the operator set. Every operator used here has one form from version 15 to 18, and
/// older runtimes know version 17.
const OPSET: i64 = 17;

/// The version of the file format that came with [`OPSET`].
const IR_VERSION: i64 = 8;

const INPUT: &str = "input";
const OUTPUT: &str = "logits";

/// The bytes of an ONNX model. `values` returns a parameter or running statistic by torchvision's
/// name, row-major.
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
            initializer.push(tensor(entry.name.clone(), entry.shape.extents(), values(&entry.name)?));
        }
    }
    initializer.extend(constants(network));
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

/// The tensors of the graph that are no parameters of the network.
fn constants(network: &Network) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    for layer in network.nodes() {
        for OnnxConstant { name, extents, values } in layer.layer.onnx().into_iter().flat_map(|node| node.constants) {
            tensors.push(tensor(layer.parameter_name(name), &extents, values));
        }
    }
    tensors
}

fn tensor(name: String, extents: &[usize], values: Vec<f32>) -> Tensor {
    Tensor {
        dims: extents.iter().map(|&extent| extent as i64).collect(),
        data_type: Tensor::FLOAT,
        name,
        raw_data: values.into_iter().flat_map(f32::to_le_bytes).collect(),
    }
}

fn value(name: &str, extents: Vec<Extent>) -> ValueInfo {
    let dim = extents.into_iter().map(|extent| Dimension { value: Some(extent) }).collect();
    let tensor_type = TensorType { elem_type: Tensor::FLOAT, shape: Some(TensorShape { dim }) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
}

fn nodes(network: &Network) -> Vec<Node> {
    let layers = network.nodes();
    // A layer's output is named by the layer's number. The name of a parameter always has a dot, so
    // the two never collide.
    let output = |layer: &Layer| match layer.id.0 {
        _ if layer.inputs.is_empty() => INPUT.to_owned(),
        index if index == layers.len() - 1 => OUTPUT.to_owned(),
        index => format!("y{index}"),
    };
    let mut nodes = Vec::new();
    for layer in layers {
        let chain = layer.layer.onnx();
        let last = chain.len().saturating_sub(1);
        let mut x: Vec<String> = layer.inputs.iter().map(|&input| output(network.node(input))).collect();
        for (index, OnnxNode { op_type, suffix, parameters, constants, attributes }) in chain.into_iter().enumerate() {
            let y = match index {
                index if index == last => output(layer),
                0 => format!("{}_inner", output(layer)),
                index => format!("{}_inner{index}", output(layer)),
            };
            let mut input = std::mem::replace(&mut x, vec![y.clone()]);
            input.extend(parameters.iter().map(|parameter| layer.parameter_name(parameter)));
            input.extend(constants.iter().map(|constant| layer.parameter_name(constant.name)));
            nodes.push(Node {
                input,
                output: vec![y],
                name: format!("{}{suffix}", layer.name),
                op_type: op_type.to_owned(),
                attribute: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
            });
        }
    }
    nodes
}

fn attribute(name: &str, value: OnnxAttribute) -> Attribute {
    let named = Attribute { name: name.to_owned(), ..Attribute::default() };
    match value {
        OnnxAttribute::Float(f) => Attribute { f: Some(f), r#type: Attribute::FLOAT, ..named },
        OnnxAttribute::Int(i) => Attribute { i: Some(i), r#type: Attribute::INT, ..named },
        OnnxAttribute::Ints(ints) => Attribute { ints, r#type: Attribute::INTS, ..named },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use in18_program::{Arch, BlurPooling};
    use std::collections::HashSet;
    use std::convert::Infallible;

    #[test]
    fn every_operand_is_made_before_it_is_used() {
        for arch in Arch::all().flat_map(Arch::forms).flat_map(|arch| [arch, arch.with_blur_pool(BlurPooling::All)]) {
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
