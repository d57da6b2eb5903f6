//! Steps that are started before the results of earlier steps are read, as on a GPU.

mod gpu;

use in18_program::initial::Initialization;
use in18_program::{Arch, Input, Metrics, Model, Size, Targets};
use in18_tensor::DType;
use in18_torch::Torch;

const SIZE: Size = Size { batch: 4, height: 32, width: 32 };

/// The losses of four steps on four batches, and the last step's gradients. `ahead` more steps run
/// while one step's results are read.
fn steps(kernels: Torch, ahead: usize) -> (Vec<f64>, Vec<f32>) {
    let mut model = Model::new(Box::new(kernels), Arch::RESNET18.network(10), DType::F32).unwrap();
    Initialization::torchvision(0).apply(&mut model).unwrap();
    let (mut running, mut losses) = (Vec::new(), Vec::new());
    let mut finish = |model: &mut Model, pending| {
        let Metrics { loss_sum, .. } = model.metrics(pending).unwrap();
        losses.push(loss_sum);
    };
    for step in 0..4 {
        // The batch's memory may be reused as soon as the step is started.
        let mut pixels: Vec<u8> = (0..SIZE.batch * 32 * 32 * 3).map(|i| (i * (7 + step) % 253) as u8).collect();
        let mut labels: Vec<i32> = (0..4).map(|image| (image * 3 + step as i32) % 10).collect();
        running
            .push(model.start_training(Input { size: SIZE, pixels: &pixels, targets: Targets::of(&labels) }).unwrap());
        pixels.fill(0);
        labels.fill(0);
        if running.len() > ahead {
            finish(&mut model, running.remove(0));
        }
    }
    running.into_iter().for_each(|pending| finish(&mut model, pending));
    (losses, model.gradient("conv1.weight").unwrap())
}

#[test]
fn batches_that_arrive_late_are_those_that_were_sent() {
    let Some(provider) = gpu::emulated() else { return };
    let (one_by_one, gradient) = steps(provider(), 0);
    for ahead in [1, 2] {
        let (losses, last) = steps(provider(), ahead);
        assert_eq!(losses, one_by_one, "{ahead} ahead");
        assert!(last == gradient, "{ahead} ahead: other gradients");
    }
    assert!(one_by_one.windows(2).all(|pair| pair[0] != pair[1]), "{one_by_one:?}");
}
