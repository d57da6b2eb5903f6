//! From a plan to the model that it trains.

use in18_kernels::Kernels;
use in18_optim::Sgd;
use in18_program::{Model, Network};
use in18_recipe::{GradientType, Plan};
use in18_tensor::DType;

use crate::error::TrainError;

/// A network without values, with the update of the plan's recipe. Activations are of type `dtype`.
///
/// # Errors
/// [`TrainError::Program`].
pub fn learner(kernels: Box<dyn Kernels>, network: Network, dtype: DType, plan: &Plan) -> Result<Model, TrainError> {
    let optimizer = &plan.recipe.optimizer;
    let mut model = Model::new(kernels, network, dtype)?;
    model.set_update(&Sgd::from(optimizer).update(model.parameters()))?;
    if plan.world > 1 {
        model.exchange_as(exchanged(optimizer.gradients, dtype))?;
    }
    Ok(model)
}

/// The type in which ranks exchange gradients, if activations are of type `dtype`.
pub fn exchanged(gradients: GradientType, dtype: DType) -> DType {
    match gradients {
        GradientType::Fp32 => DType::F32,
        GradientType::Compute => dtype,
    }
}
