//! `[evaluate]`: how validation images are seen.

use serde::{Deserialize, Serialize};

/// Validation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluate {
    /// Validation batches keep the mean aspect ratio of their images, in phases without 'rect_val'.
    /// Else the square centre of each image is seen.
    pub rectangular: bool,
}
