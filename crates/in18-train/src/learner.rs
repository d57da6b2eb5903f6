//! From a recipe to the model that it trains: the one place that turns sections of a recipe into what
//! the program's crates call them.

use in18_kernels::Kernels;
use in18_program::initial::Initialization;
use in18_program::{Average, Loss, Model, Network};
use in18_recipe::{Bias, GradientType, Head, LossKind, PlanError, Recipe};
use in18_tensor::DType;

use crate::error::TrainError;

/// A network without values, with loss, update and averages of a recipe. Activations are of type
/// `dtype`; `world` ranks exchange their gradients. `images` says how many training images each
/// class has.
///
/// # Errors
/// [`TrainError::Program`]; [`TrainError::Plan`] if the loss does not fit the classes.
pub fn learner(
    kernels: Box<dyn Kernels>,
    network: Network,
    dtype: DType,
    (recipe, world): (&Recipe, usize),
    images: &[usize],
) -> Result<Model, TrainError> {
    let Recipe { optimizer, average, .. } = recipe;
    let mut model = Model::new(kernels, network, dtype)?;
    model.set_loss(loss(recipe, images)?);
    model.set_update(&in18_optim::update(optimizer, model.parameters()))?;
    let (lookahead, ema) = (average.has_lookahead(), average.has_ema());
    for (average, is_wanted) in [(Average::Lookahead, lookahead), (Average::Ema, ema)] {
        if is_wanted {
            model.add_average(average)?;
        }
    }
    if world > 1 {
        model.exchange_as(exchanged(optimizer.gradients, dtype))?;
    }
    Ok(model)
}

fn loss(recipe: &Recipe, images: &[usize]) -> Result<Loss, TrainError> {
    let loss = &recipe.loss;
    let class_weights = loss.weights(images).map_err(PlanError::Field)?;
    Ok(Loss {
        binary: loss.kind == LossKind::Binary,
        smoothing: loss.smoothing as f32,
        class_weights: class_weights.into_iter().map(|weight| weight as f32).collect(),
        mixed: recipe.augment.mixes(),
    })
}

/// The values that a recipe starts from.
pub fn initialization(recipe: &Recipe) -> Initialization {
    let initial = &recipe.initial;
    Initialization {
        seed: recipe.seed,
        zero_gamma: initial.bn0 || initial.zero_gamma,
        normal_head: initial.bn0 || initial.head == Head::Normal,
        prior_bias: initial.bias == Bias::Prior,
    }
}

/// The type in which ranks exchange gradients, if activations are of type `dtype`.
pub fn exchanged(gradients: GradientType, dtype: DType) -> DType {
    match gradients {
        GradientType::Fp32 => DType::F32,
        GradientType::Compute => dtype,
    }
}
