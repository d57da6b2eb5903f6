//! The classifier: a linear map with bias. It is fp32 whatever the activations are: it costs next to nothing, and the
//! logits decide the loss.

use super::operation;

operation! {
    /// `dst[n,k] = Σ src[n,c] · weight[k,c] + bias[k]`.
    Linear {
        reads {
            /// (N, C) fp32.
            src,
            /// (K, C) fp32.
            weight,
            /// (K) fp32.
            bias,
        }
        writes {
            /// (N, K) fp32.
            dst,
        }
    }
}

operation! {
    /// The gradient of [`Linear`] with respect to its input.
    LinearBackwardData {
        reads {
            /// (K, C) fp32.
            weight,
            /// (N, K) fp32.
            ddst,
        }
        writes {
            /// (N, C) fp32.
            dsrc,
        }
    }
}

operation! {
    /// The gradient of [`Linear`] with respect to weights and bias, summed over the batch.
    LinearBackwardWeight {
        reads {
            /// (N, C) fp32.
            src,
            /// (N, K) fp32.
            ddst,
        }
        writes {
            /// (K, C) fp32.
            dweight,
            /// (K) fp32.
            dbias,
        }
    }
}
