//! The GPU that tests run on, too, where there is one.

use in18_torch::{Device, gpus};

/// The first GPU; without one, says so.
pub fn first() -> Option<Device> {
    match gpus() {
        Ok(count) if count > 0 => Some(Device::Cuda(0)),
        Ok(_) => {
            println!("not checked: there is no GPU");
            None
        }
        Err(why) => {
            println!("not checked: {why}");
            None
        }
    }
}
