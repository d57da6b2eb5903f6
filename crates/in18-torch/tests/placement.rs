//! Results lie where the program planned them: libtorch's own allocations hold none of them.

mod gpu;

use in18_program::initial::Initialization;
use in18_program::{Arch, Input, Model, Size, Targets};
use in18_tensor::DType;
use in18_torch::{Device, Torch, copied_results};

#[test]
fn after_the_first_steps_no_result_is_copied_to_its_place() {
    if let Some(device) = gpu::cpu() {
        check_on(device);
    }
}

#[test]
fn nor_is_one_on_a_gpu() {
    if let Some(device) = gpu::first() {
        check_on(device);
    }
}

fn check_on(device: Device) {
    for dtype in [DType::F32, DType::Bf16] {
        let kernels = Torch::new(device, None, false).expect("libtorch starts");
        let mut model = Model::new(Box::new(kernels), Arch::RESNET50.network(10), dtype).unwrap();
        Initialization::torchvision(0).apply(&mut model).unwrap();
        let size = Size { batch: 8, height: 64, width: 64 };
        let pixels: Vec<u8> = (0..8 * 64 * 64 * 3).map(|i| (i * 31 % 251) as u8).collect();
        let labels: Vec<i32> = (0..8).collect();
        for start in [Model::start_training, Model::start_evaluation] {
            // On a GPU, an evaluation tries out kernels in its first step, and learns where results
            // lie in its second.
            let copies = [(); 3].map(|()| {
                let before = copied_results();
                let pending =
                    start(&mut model, Input { size, pixels: &pixels, targets: Targets::of(&labels) }).unwrap();
                model.metrics(pending).unwrap();
                copied_results() - before
            });
            println!("{dtype}: {copies:?} copies in the first steps");
            assert_eq!(copies[2], 0, "{dtype} on {device}");
        }
    }
}
