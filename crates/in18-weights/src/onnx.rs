//! A network as an ONNX file, for inference elsewhere.
//!
//! The graph has one input, `input`, fp32 (N, 3, H, W) with N, H and W free: RGB pixels as
//! torchvision normalises them (`(p / 255 − mean) / deviation`, means 0.485, 0.456, 0.406,
//! deviations 0.229, 0.224, 0.225). Its output is `logits`, fp32 (N, classes). Each batch
//! normalisation stays a node, so that the graph has the same tensors, with the same names, as the
//! safetensors file. The model's metadata holds the class names as a JSON list under `classes`.
//!
//! This module knows the network as data, and no files, providers or training.

mod graph;
mod message;

pub use graph::encode;
