//! A network as an ONNX file, for inference elsewhere.
//!
//! The graph has one input, `input`, fp32 (N, 3, H, W) with N, H and W free: RGB pixels as torchvision normalises them
//! (`(p / 255 − mean) / deviation`, means 0.485, 0.456, 0.406, deviations 0.229, 0.224, 0.225). Its output is `logits`, fp32
//! (N, classes). Batch normalisation is kept as a node of its own, so that tensors are those of the safetensors file, by name.
//! The class names travel along as a JSON list under `classes` in the model's metadata.
//!
//! Knows the network as data and nothing of files, providers or training.

mod graph;
mod message;

pub use graph::encode;
