// The plain operations of the vocabulary: those that need nothing but their operands and attributes. Each is one function, which
// the list at the end enters under its name in `in18-kernels`' `op`. A function takes the operands in the order of their
// declaration (what the operation reads, updates, writes), then the attributes' numbers. Every function overwrites its results.

#include <ATen/ops/_softmax.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool2d_backward.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/threshold_backward.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common.h"

namespace in18 {

// An operation as `in18_torch_operation` hands it out.
struct PlainOperation {
  size_t operands, attributes;
  void (*call)(const in18_tensor* const* operands, const double* attributes);
};

namespace {

using at::Tensor;

void add(const Tensor& a, const Tensor& b, Tensor& dst) { at::add_out(dst, a, b); }

void add_relu(const Tensor& a, const Tensor& b, Tensor& dst) {
  at::add_out(dst, a, b);
  at::relu_(dst);
}

void relu_backward(const Tensor& dst, const Tensor& ddst, Tensor& dsrc) { at::threshold_backward_out(dsrc, ddst, dst, 0); }

// With a weight of 0 or 1, libtorch's interpolation is exact.
void average(const Tensor& kept, const Tensor& value, Tensor& average) { at::lerp_out(average, value, average, kept); }

void batch_norm(const Tensor& src, const Tensor& gamma, const Tensor& beta, Tensor& running_mean, Tensor& running_variance,
                Tensor& dst, Tensor& mean, Tensor& inverse_deviation, double epsilon, double momentum, bool relu) {
  const bool has_spread = src.numel() > src.size(1);
  // Of one value a channel libtorch's estimate of the variance would not be a number: there it is 0.
  const auto running = [&](const Tensor& tensor) { return has_spread ? std::optional<Tensor>(tensor) : std::nullopt; };
  at::native_batch_norm_out(dst, mean, inverse_deviation, src, gamma, beta, running(running_mean),
                            running(running_variance), true, momentum, epsilon);
  if (!has_spread) {
    running_mean.lerp_(mean, momentum);
    running_variance.mul_(1 - momentum);
  }
  if (relu) {
    at::relu_(dst);
  }
}

void batch_norm_add_relu(const Tensor& src, const Tensor& addend, const Tensor& gamma, const Tensor& beta,
                         Tensor& running_mean, Tensor& running_variance, Tensor& dst, Tensor& mean,
                         Tensor& inverse_deviation, double epsilon, double momentum) {
  batch_norm(src, gamma, beta, running_mean, running_variance, dst, mean, inverse_deviation, epsilon, momentum, false);
  add_relu(dst, addend, dst);
}

void batch_norm_inference(const Tensor& src, const Tensor& gamma, const Tensor& beta, const Tensor& running_mean,
                          const Tensor& running_variance, Tensor& dst, double epsilon, bool relu) {
  // Statistics of the batch, which nobody wants here.
  Tensor mean = at::empty({0}, gamma.options()), deviation = at::empty({0}, gamma.options());
  at::native_batch_norm_out(dst, mean, deviation, src, gamma, beta, running_mean, running_variance, false, 0, epsilon);
  if (relu) {
    at::relu_(dst);
  }
}

// Means of squares of 2x2 pixels. Squares that the edge cuts off have the mean of the pixels that they hold.
void avg_pool(const Tensor& src, Tensor& dst) {
  at::avg_pool2d_out(dst, src, at::IntArrayRef({2, 2}), at::IntArrayRef({2, 2}), at::IntArrayRef({0, 0}), /*ceil_mode=*/true,
                     /*count_include_pad=*/false);
}

void avg_pool_backward(const Tensor& ddst, Tensor& dsrc) {
  // The second `dsrc` only says which shape the image had.
  at::avg_pool2d_backward_out(dsrc, ddst, dsrc, at::IntArrayRef({2, 2}), at::IntArrayRef({2, 2}), at::IntArrayRef({0, 0}),
                              /*ceil_mode=*/true, /*count_include_pad=*/false, /*divisor_override=*/std::nullopt);
}

// BlurPool's filter on each channel: sixteenths of [1 2 1] x [1 2 1] with zero padding 1, or its gradient (`transposed`), which
// has `output_padding` pixels at the end beyond the filter's reach. On the CPU fp16 goes through fp32, which is faster there.
void blur(const Tensor& from, Tensor& to, int64_t stride, bool transposed, at::IntArrayRef output_padding) {
  const bool in_fp32 = from.is_cpu() && from.scalar_type() == at::kHalf;
  const Tensor source = in_fp32 ? from.to(at::kFloat) : from;
  const int64_t channels = from.size(1);
  const Tensor filter = at::empty({channels, 1, 3, 3}, source.options()).fill_(1.0 / 16);
  filter.select(2, 1).mul_(2);
  filter.select(3, 1).mul_(2);
  to.copy_(at::convolution(source, filter, std::nullopt, at::IntArrayRef({stride, stride}), at::IntArrayRef({1, 1}),
                           at::IntArrayRef({1, 1}), transposed, output_padding, channels));
}

void blur_pool(const Tensor& src, Tensor& dst, int64_t stride) { blur(src, dst, stride, false, at::IntArrayRef({0, 0})); }

void blur_pool_backward(const Tensor& ddst, Tensor& dsrc, int64_t stride) {
  // Of stride 1 the filter is its own transpose.
  const auto beyond = [&](int64_t axis) { return dsrc.size(axis) - (ddst.size(axis) - 1) * stride - 1; };
  blur(ddst, dsrc, stride, stride > 1, at::IntArrayRef({beyond(2), beyond(3)}));
}

void global_avg_pool(const Tensor& src, Tensor& dst) { at::mean_out(dst, src, at::IntArrayRef({2, 3}), false, at::kFloat); }

void global_avg_pool_backward(const Tensor& ddst, Tensor& dsrc) {
  const double pixels = static_cast<double>(dsrc.size(2) * dsrc.size(3));
  dsrc.copy_(at::mul(ddst, 1 / pixels).view({ddst.size(0), ddst.size(1), 1, 1}).expand(dsrc.sizes()));
}

void linear(const Tensor& src, const Tensor& weight, const Tensor& bias, Tensor& dst) {
  at::addmm_out(dst, bias, src, weight.t());
}

void linear_backward_data(const Tensor& weight, const Tensor& ddst, Tensor& dsrc) { at::mm_out(dsrc, ddst, weight); }

void linear_backward_weight(const Tensor& src, const Tensor& ddst, Tensor& dweight, Tensor& dbias) {
  at::mm_out(dweight, ddst.t(), src);
  at::sum_out(dbias, ddst, at::IntArrayRef({0}));
}

// Hits of the best guess and of the best five, behind the loss in `metrics`. A tie goes to the class with the lower number; what
// is not a number is below everything else. label: (N, 1).
void count_guesses(const Tensor& logits, const Tensor& label, Tensor& metrics) {
  constexpr double kLowest = -std::numeric_limits<double>::infinity();
  const Tensor order = at::nan_to_num(logits, kLowest, -kLowest, kLowest);
  const Tensor own = order.gather(1, label);
  const Tensor classes = at::arange(logits.size(1), label.options());
  const Tensor better = order.gt(own).logical_or_(order.eq(own).logical_and_(classes.lt(label)));
  const Tensor rank = better.sum(1);
  metrics.select(0, 1).copy_(rank.eq(0).sum());
  metrics.select(0, 2).copy_(rank.lt(5).sum());
}

void cross_entropy(const Tensor& logits, const Tensor& labels, Tensor& metrics) {
  const Tensor label = labels.to(at::kLong).unsqueeze(1);
  metrics.select(0, 0).copy_(at::log_softmax(logits, 1).gather(1, label).sum().neg());
  count_guesses(logits, label, metrics);
}

void cross_entropy_backward(const Tensor& logits, const Tensor& labels, const Tensor& scale, Tensor& dlogits) {
  at::_softmax_out(dlogits, logits, 1, false);
  const Tensor label = labels.to(at::kLong).unsqueeze(1);
  const Tensor one = at::empty(label.sizes(), logits.options()).fill_(-1);
  dlogits.scatter_add_(1, label, one);
  dlogits.mul_(at::mul(scale, 1.0 / static_cast<double>(logits.size(0))));
}

// (N, K): how much each class is the target of each image.
Tensor soft_targets(const Tensor& logits, const Tensor& labels, const Tensor& shares, double smoothing) {
  const double classes = static_cast<double>(logits.size(1));
  Tensor targets = at::mul(shares.sum(1, true), smoothing / classes).expand(logits.sizes()).contiguous();
  const Tensor label = labels.to(at::kLong), share = at::mul(shares, 1 - smoothing);
  // One after the other: of equal labels, a GPU would add in any order.
  for (int64_t i = 0; i < label.size(1); ++i) {
    targets.scatter_add_(1, label.narrow(1, i, 1), share.narrow(1, i, 1));
  }
  return targets;
}

void soft_loss(const Tensor& logits, const Tensor& labels, const Tensor& shares, const Tensor& weights, Tensor& metrics,
               bool binary, double smoothing) {
  const Tensor targets = soft_targets(logits, labels, shares, smoothing);
  const Tensor terms = binary ? at::sub(at::mul(shares.sum(1, true), at::softplus(logits)), at::mul(targets, logits))
                              : at::mul(targets, at::log_softmax(logits, 1)).neg();
  metrics.select(0, 0).copy_(at::mul(terms, weights).sum());
  count_guesses(logits, labels.narrow(1, 0, 1).to(at::kLong), metrics);
}

void soft_loss_backward(const Tensor& logits, const Tensor& labels, const Tensor& shares, const Tensor& weights,
                        const Tensor& scale, Tensor& dlogits, bool binary, double smoothing) {
  const Tensor targets = soft_targets(logits, labels, shares, smoothing);
  if (binary) {
    at::mul_out(dlogits, at::sub(at::mul(shares.sum(1, true), at::sigmoid(logits)), targets), weights);
  } else {
    const Tensor weighted = at::mul(targets, weights);
    at::_softmax_out(dlogits, logits, 1, false);
    dlogits.mul_(weighted.sum(1, true)).sub_(weighted);
  }
  dlogits.mul_(at::mul(scale, 1.0 / static_cast<double>(logits.size(0))));
}

// The number at this index of an update's scalars. They lie in host memory, so nothing waits.
double host_number(const Tensor& scalars, int64_t index) {
  TORCH_CHECK(scalars.is_cpu(), "an update's scalars lie in host memory");
  return scalars.const_data_ptr<float>()[index];
}

// The L2 norm of a row of numbers, as one fp64 number on their device: of rows in fp32, and of the rows' norms in fp64.
Tensor norm_of(const Tensor& values) {
  constexpr int64_t kRow = 4096;
  const int64_t rows = values.numel() / kRow, rest = values.numel() - rows * kRow;
  const auto norm = [](const Tensor& of) { return at::linalg_vector_norm(of, 2, at::IntArrayRef({1})).to(at::kDouble); };
  std::vector<Tensor> norms;
  if (rows > 0) {
    norms.push_back(norm(values.narrow(0, 0, rows * kRow).view({rows, kRow})));
  }
  if (rest > 0) {
    norms.push_back(norm(values.narrow(0, rows * kRow, rest).view({1, rest})));
  }
  return at::linalg_vector_norm(at::cat(norms), 2);
}

void clip_gradients(const Tensor& scalars, Tensor& gradient, double max_norm) {
  const double scale = std::abs(host_number(scalars, 2));
  // What is not a number stays so in the minimum.
  gradient.mul_(norm_of(gradient).mul_(scale).add_(1e-6).reciprocal_().mul_(max_norm).clamp_max_(1));
}

void lars(const Tensor& scalars, const Tensor& gradient, Tensor& parameter, Tensor& velocity, double weight_decay,
          double trust, bool nesterov) {
  const double rate = host_number(scalars, 0), momentum = host_number(scalars, 1), gradient_scale = host_number(scalars, 2);
  if (trust > 0) {
    const Tensor length = norm_of(parameter), slope = norm_of(gradient).mul_(std::abs(gradient_scale));
    const Tensor ratio = at::mul(length, trust).div_(at::mul(length, weight_decay).add_(slope));
    ratio.masked_fill_(length.gt(0).logical_and_(slope.gt(0)).logical_not_(), 1);
    gradient.mul_(gradient_scale).add_(parameter, weight_decay).mul_(ratio.mul_(rate));
  } else {
    gradient.mul_(gradient_scale).add_(parameter, weight_decay).mul_(rate);
  }
  velocity.mul_(momentum).add_(gradient);
  parameter.sub_(nesterov ? gradient.add_(velocity, momentum) : velocity);
}

// Turns a function on tensors and numbers into a `PlainOperation`.
template <auto function>
struct Plain;

template <typename... Parameters, void (*function)(Parameters...)>
struct Plain<function> {
  template <typename Parameter>
  static constexpr bool is_tensor = std::is_same_v<std::remove_cv_t<std::remove_reference_t<Parameter>>, Tensor>;
  static constexpr size_t kOperands = (size_t{is_tensor<Parameters>} + ... + 0);

  template <typename Parameter>
  static Parameter argument(const in18_tensor* const* operands, const double* attributes, size_t index) {
    if constexpr (is_tensor<Parameter>) {
      // libtorch's out-variants take a reference that is not const, though a tensor is itself a reference.
      return const_cast<Tensor&>(*operands[index]);
    } else {
      return static_cast<Parameter>(attributes[index - kOperands]);
    }
  }

  template <size_t... index>
  static void apply(const in18_tensor* const* operands, const double* attributes, std::index_sequence<index...>) {
    function(argument<Parameters>(operands, attributes, index)...);
  }

  static void call(const in18_tensor* const* operands, const double* attributes) {
    apply(operands, attributes, std::index_sequence_for<Parameters...>{});
  }

  static constexpr PlainOperation entry{kOperands, sizeof...(Parameters) - kOperands, call};
};

// By name.
const std::map<std::string, const PlainOperation*> kOperations = {
    {"Add", &Plain<add>::entry},
    {"AddRelu", &Plain<add_relu>::entry},
    {"ReluBackward", &Plain<relu_backward>::entry},
    {"Average", &Plain<average>::entry},
    {"BatchNorm", &Plain<batch_norm>::entry},
    {"BatchNormAddRelu", &Plain<batch_norm_add_relu>::entry},
    {"BatchNormInference", &Plain<batch_norm_inference>::entry},
    {"AvgPool", &Plain<avg_pool>::entry},
    {"AvgPoolBackward", &Plain<avg_pool_backward>::entry},
    {"BlurPool", &Plain<blur_pool>::entry},
    {"BlurPoolBackward", &Plain<blur_pool_backward>::entry},
    {"GlobalAvgPool", &Plain<global_avg_pool>::entry},
    {"GlobalAvgPoolBackward", &Plain<global_avg_pool_backward>::entry},
    {"Lars", &Plain<lars>::entry},
    {"Linear", &Plain<linear>::entry},
    {"LinearBackwardData", &Plain<linear_backward_data>::entry},
    {"LinearBackwardWeight", &Plain<linear_backward_weight>::entry},
    {"ClipGradients", &Plain<clip_gradients>::entry},
    {"CrossEntropy", &Plain<cross_entropy>::entry},
    {"CrossEntropyBackward", &Plain<cross_entropy_backward>::entry},
    {"SoftLoss", &Plain<soft_loss>::entry},
    {"SoftLossBackward", &Plain<soft_loss_backward>::entry},
};

}  // namespace
}  // namespace in18

#pragma GCC visibility push(default)
extern "C" {

// Finds an operation, which takes these numbers of operands and attributes' numbers.
int in18_torch_operation(const in18::PlainOperation** out, const char* name, size_t operands, size_t attributes) {
  return in18::guarded([&] {
    const auto found = in18::kOperations.find(name);
    TORCH_CHECK(found != in18::kOperations.end(), "shim/plain.cpp has no operation of this name");
    const in18::PlainOperation& operation = *found->second;
    TORCH_CHECK(operation.operands == operands && operation.attributes == attributes, "shim/plain.cpp takes ",
                operation.operands, " operands and ", operation.attributes, " numbers, not ", operands, " and ", attributes);
    *out = &operation;
  });
}

// Runs an operation on as many operands and numbers as it takes.
int in18_torch_run(const in18::PlainOperation* operation, const in18_tensor* const* operands, const double* attributes) {
  return in18::guarded([&] { operation->call(operands, attributes); });
}

}  // extern "C"
#pragma GCC visibility pop
