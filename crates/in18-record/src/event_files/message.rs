//! The fields of TensorFlow's messages that scalars need, by their numbers in `event.proto`, `summary.proto` and
//! `tensor.proto`. Unknown ones are skipped, as protocol buffers do.

use prost::{Message, Oneof};

/// `file_version` of the first event of every file.
pub const FILE_VERSION: &str = "brain.Event:2";

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Of the training.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// What the event is.
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub what: Option<What>,
}

/// What an event is.
#[derive(Clone, PartialEq, Oneof)]
pub enum What {
    /// The first of a file.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Values.
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// A start: what comes with this step or a later one replaces what came before.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// `tensorflow.SessionLog`.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct SessionLog {
    /// [`SESSION_START`] is the one that matters.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// `SessionLog.START`.
pub const SESSION_START: i32 = 1;

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// One a tag.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Such as `losses/xent`.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// A scalar, as tensorboardX and TensorFlow 1 write it.
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
    /// A tensor, as TensorFlow 2 writes a scalar.
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<Tensor>,
}

/// `tensorflow.TensorProto`, for scalars.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// `DT_FLOAT` is 1, `DT_DOUBLE` 2.
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    /// Little-endian.
    #[prost(bytes = "vec", tag = "4")]
    pub tensor_content: Vec<u8>,
    /// Where the content is not packed.
    #[prost(float, repeated, tag = "5")]
    pub float_val: Vec<f32>,
    /// Where the content is not packed.
    #[prost(double, repeated, tag = "6")]
    pub double_val: Vec<f64>,
}

impl Value {
    /// The scalar, if the value is one.
    pub fn scalar(&self) -> Option<f64> {
        if let Some(value) = self.simple_value {
            return Some(f64::from(value));
        }
        let tensor = self.tensor.as_ref()?;
        let content = tensor.tensor_content.as_slice();
        match (tensor.dtype, tensor.float_val.as_slice(), tensor.double_val.as_slice()) {
            (1, &[value], _) => Some(f64::from(value)),
            (1, ..) => Some(f64::from(f32::from_le_bytes(content.try_into().ok()?))),
            (2, _, &[value]) => Some(value),
            (2, ..) => Some(f64::from_le_bytes(content.try_into().ok()?)),
            _ => None,
        }
    }
}
