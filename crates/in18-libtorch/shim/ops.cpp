// The operations that need more than `plain.cpp` gives: planned places for libtorch's own results, scratch memory, or lists of
// tensors. One function each, results first. Activations are (N, C, H, W) by strides of (N, H, W, C). Every function overwrites its results. `ordinal`: see `placement.h`.

#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/cudnn_convolution_add_relu.h>
#include <ATen/ops/cudnn_convolution_relu.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/max_pool2d_with_indices.h>
#include <ATen/ops/max_pool2d_with_indices_backward.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/threshold_backward.h>

#include <array>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "common.h"
#include "placement.h"

namespace {

using at::Tensor;

// Most of libtorch's out-variants take a reference that is not const, though a tensor is itself a reference.
Tensor& result(const Tensor* tensor) { return const_cast<Tensor&>(*tensor); }

struct Window {
  std::array<int64_t, 2> kernel, stride, padding;
  std::array<int64_t, 2> dilation{1, 1};
  Window(int64_t k, int64_t s, int64_t p) : kernel{k, k}, stride{s, s}, padding{p, p} {}
};

std::tuple<Tensor, Tensor, Tensor> gradients(const Tensor& ddst, const Tensor& src, const Tensor& weight,
                                             const Window& window, std::array<bool, 3> wanted) {
  return at::convolution_backward(ddst, src, weight, std::nullopt, window.stride, window.padding, window.dilation,
                                  false, {0, 0}, 1, wanted);
}

// Whether libtorch's convolutions are too slow in a tensor's type: on the CPU those of fp16 take ten times as long as fp32's.
// Operands go through fp32 then, and the result is rounded once.
bool wants_fp32(const Tensor& tensor) { return tensor.is_cpu() && tensor.scalar_type() == at::kHalf; }

Tensor in_fp32(const Tensor& tensor) { return tensor.to(at::kFloat); }

// Of the operands' type, or of fp32.
Tensor convolved(const Tensor& src, const Tensor& weight, const std::optional<Tensor>& bias, const Window& window) {
  if (wants_fp32(src)) {
    return convolved(in_fp32(src), in_fp32(weight), bias ? std::optional(in_fp32(*bias)) : bias, window);
  }
  return at::convolution(src, weight, bias, window.stride, window.padding, window.dilation, false, {0, 0}, 1);
}

// Its like in fp32, where the content does not matter.
Tensor like_in_fp32(const Tensor& tensor) { return at::empty_like(tensor, tensor.options().dtype(at::kFloat)); }

// How a convolution with what follows it is computed: by one kernel that writes the result's place, or memory of its own, or by
// several operations.
enum Way { kUntried = 0, kInPlace = 1, kBeside = 2, kApart = 3 };

// Runs one kernel for the first time, and finds out whether its result may be written to its place: `dst`, which holds an addend
// where it `adds`. The result is there then, unless there is no such kernel. kUntried: the next run finds out.
template <typename Fused>
Way tried(const Tensor& dst, bool adds, int* ordinal, Fused&& fused) {
  try {
    // Trying kernels out writes the result several times, which an addend in its place would not survive.
    const Tensor beside = fused();
    Way way = kInPlace;
    if (adds) {
      const int64_t copied = in18::copied();
      const int number = *ordinal;
      in18::into(dst, ordinal, fused);
      if (in18::copied() == copied) {
        // cuDNN does not promise that a result may lie over its addend: it may where it is the same to the bit.
        way = dst.equal(beside) ? kInPlace : kBeside;
      } else {
        // It came to lie elsewhere. If that is known now, the next run will place it.
        way = *ordinal == number ? kBeside : kUntried;
      }
    }
    dst.copy_(beside);
    return way;
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception&) {
    return kApart;
  }
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// scale and shift: (1, 3, 1, 1) fp32; dst = pixels · scale + shift.
int in18_torch_normalize(const in18_tensor* dst, const in18_tensor* pixels, const in18_tensor* scale,
                         const in18_tensor* shift) {
  return in18::guarded([&] { at::addcmul_out(result(dst), *shift, *pixels, *scale); });
}

// weight: of the activations' type; bias, of that type too, may be null.
int in18_torch_conv(const in18_tensor* dst, const in18_tensor* src, const in18_tensor* weight, const in18_tensor* bias,
                    int64_t kernel, int64_t stride, int64_t padding, bool relu, int* ordinal) {
  return in18::guarded([&] {
    const Window window(kernel, stride, padding);
    const auto shift = bias == nullptr ? std::optional<Tensor>() : std::optional<Tensor>(*bias);
    if (wants_fp32(*src)) {
      dst->copy_(convolved(*src, *weight, shift, window));
    } else {
      in18::into(*dst, ordinal, [&] { return convolved(*src, *weight, shift, window); });
    }
    if (relu) {
      at::relu_(result(dst));
    }
  });
}

// On GPUs: ReLU(src * weight + bias), or, where it adds, ReLU(src * weight + bias + dst): by one kernel of cuDNN's, or where it
// has none by several. `way`: as the last run left it, at first kUntried.
int in18_torch_conv_relu(const in18_tensor* dst, const in18_tensor* src, const in18_tensor* weight,
                         const in18_tensor* bias, int64_t kernel, int64_t stride, int64_t padding, bool adds, int* way,
                         int* ordinal) {
  return in18::guarded([&] {
    const Window window(kernel, stride, padding);
    const auto shift = std::optional<Tensor>(*bias);
    const auto fused = [&] {
      return adds ? at::cudnn_convolution_add_relu(*src, *weight, *dst, 1, shift, window.stride, window.padding,
                                                   window.dilation, 1)
                  : at::cudnn_convolution_relu(*src, *weight, shift, window.stride, window.padding, window.dilation, 1);
    };
    if (*way == kUntried) {
      *way = tried(*dst, adds, ordinal, fused);
      if (*way != kApart) {
        return;
      }
    }
    switch (*way) {
      case kInPlace:
        return in18::into(*dst, ordinal, fused);
      case kBeside:
        dst->copy_(fused());
        return;
      default:
        const Tensor sum = convolved(*src, *weight, shift, window);
        if (adds) {
          at::add_out(result(dst), *dst, sum);
        } else {
          dst->copy_(sum);
        }
        at::relu_(result(dst));
    }
  });
}

int in18_torch_conv_backward_data(const in18_tensor* dsrc, const in18_tensor* weight, const in18_tensor* ddst,
                                  int64_t kernel, int64_t stride, int64_t padding, int* ordinal) {
  return in18::guarded([&] {
    // Of the source only shape and type matter: the result's will do.
    const auto gradient = [&](const Tensor& ddst, const Tensor& src, const Tensor& weight) {
      return std::get<0>(gradients(ddst, src, weight, {kernel, stride, padding}, {true, false, false}));
    };
    if (wants_fp32(*ddst)) {
      dsrc->copy_(gradient(in_fp32(*ddst), like_in_fp32(*dsrc), in_fp32(*weight)));
    } else {
      in18::into(*dsrc, ordinal, [&] { return gradient(*ddst, *dsrc, *weight); });
    }
  });
}

// dweight: as the copy of the weights is, whose content does not matter.
int in18_torch_conv_backward_weight(const in18_tensor* dweight, const in18_tensor* src, const in18_tensor* ddst,
                                    int64_t kernel, int64_t stride, int64_t padding, int* ordinal) {
  return in18::guarded([&] {
    const Window window(kernel, stride, padding);
    const auto gradient = [&](const Tensor& ddst, const Tensor& src, const Tensor& dweight) {
      return std::get<1>(gradients(ddst, src, dweight, window, {false, true, false}));
    };
    // On images of one row or column the bf16 kernel of libtorch's oneDNN reads what nobody has written.
    const bool is_misread = src->is_cpu() && src->scalar_type() == at::kBFloat16 && stride > 1 &&
                            (src->size(2) == 1 || src->size(3) == 1);
    if (is_misread || wants_fp32(*src)) {
      dweight->copy_(gradient(in_fp32(*ddst), in_fp32(*src), like_in_fp32(*dweight)));
      return;
    }
    in18::into(*dweight, ordinal, [&] { return gradient(*ddst, *src, *dweight); });
  });
}

// Evaluation's normalisation as part of a convolution: scaled weights, and the shift as a bias.
int in18_torch_fold(const in18_tensor* folded, const in18_tensor* bias, const in18_tensor* weight,
                    const in18_tensor* gamma, const in18_tensor* beta, const in18_tensor* running_mean,
                    const in18_tensor* running_variance, double epsilon) {
  return in18::guarded([&] {
    const Tensor scale = at::mul(*gamma, at::rsqrt(at::add(*running_variance, epsilon)));
    folded->copy_(at::mul(*weight, scale.view({-1, 1, 1, 1})));
    bias->copy_(at::add(*beta, at::mul(*running_mean, scale), -1));
  });
}

// dst: what the forward half gave after its ReLU; null if it had none. passed: as ddst, for what ReLU lets through of it.
int in18_torch_batch_norm_backward(const in18_tensor* dsrc, const in18_tensor* dgamma, const in18_tensor* dbeta,
                                   const in18_tensor* src, const in18_tensor* dst, const in18_tensor* gamma,
                                   const in18_tensor* ddst, const in18_tensor* passed, const in18_tensor* mean,
                                   const in18_tensor* inverse_deviation, int* ordinal) {
  return in18::guarded([&] {
    if (dst != nullptr) {
      at::threshold_backward_out(result(passed), *ddst, *dst, 0);
    }
    std::tuple<Tensor, Tensor, Tensor> all;
    {
      in18::Expectation expectation(*dsrc, *ordinal);
      // Epsilon is in the deviation.
      all = at::native_batch_norm_backward(dst == nullptr ? *ddst : *passed, *src, *gamma, {}, {}, *mean,
                                           *inverse_deviation, true, 0, {true, true, true});
    }
    in18::deliver(*dsrc, std::get<0>(all), ordinal);
    dgamma->copy_(std::get<1>(all));
    dbeta->copy_(std::get<2>(all));
  });
}

// sum: as dsrc, which may lie over dst; for the sum of the gradients.
int in18_torch_sum_relu_backward(const in18_tensor* dsrc, const in18_tensor* sum, const in18_tensor* dst,
                                 const in18_tensor* ddst_a, const in18_tensor* ddst_b) {
  return in18::guarded([&] {
    at::add_out(result(sum), *ddst_a, *ddst_b);
    at::threshold_backward_out(result(dsrc), *sum, *dst, 0);
  });
}

// places: (N, C, H', W') i64.
int in18_torch_max_pool(const in18_tensor* dst, const in18_tensor* places, const in18_tensor* src, int64_t kernel,
                        int64_t stride, int64_t padding) {
  return in18::guarded([&] {
    const Window window(kernel, stride, padding);
    at::max_pool2d_with_indices_out(result(dst), result(places), *src, window.kernel, window.stride, window.padding,
                                    window.dilation, false);
  });
}

int in18_torch_max_pool_backward(const in18_tensor* dsrc, const in18_tensor* ddst, const in18_tensor* places,
                                 int64_t kernel, int64_t stride, int64_t padding) {
  return in18::guarded([&] {
    const Window window(kernel, stride, padding);
    // Of the source only shape and strides matter: the result's will do.
    at::max_pool2d_with_indices_backward_out(result(dsrc), *ddst, *dsrc, window.kernel, window.stride, window.padding,
                                             window.dilation, false, *places);
  });
}

// Whether all values are finite numbers. Waits for the device.
int in18_torch_is_finite(const in18_tensor* values, bool* finite) {
  return in18::guarded([&] {
    // The largest magnitude: without a copy of the values, and what is not a number comes through.
    constexpr double kLargest = std::numeric_limits<double>::infinity();
    *finite = std::isfinite(at::linalg_vector_norm(*values, kLargest).item<float>());
  });
}

// count ranges that are updated alike. Gradients may be overwritten. numbers: the operation's scalars, then its attributes.
int in18_torch_sgd(size_t count, in18_tensor* const* parameters, in18_tensor* const* velocities,
                   in18_tensor* const* gradients, const double* numbers) {
  return in18::guarded([&] {
    const double rate = numbers[0], momentum = numbers[1], gradient_scale = numbers[2], decay = numbers[3];
    const bool decoupled = numbers[5] != 0, nesterov = numbers[6] != 0;
    const double penalty = decoupled ? 0 : numbers[4], kept = decoupled ? 1 - decay * numbers[4] : 1;
    const auto list = [count](in18_tensor* const* tensors) {
      std::vector<Tensor> all;
      all.reserve(count);
      for (size_t i = 0; i < count; ++i) {
        all.push_back(*tensors[i]);
      }
      return all;
    };
    for (size_t i = 0; decoupled && i < count; ++i) {
      parameters[i]->mul_(kept);
    }
    if (momentum != 0) {
      // It divides by its scale.
      const auto scale = gradient_scale == 1
                             ? std::optional<Tensor>()
                             : std::optional<Tensor>(at::full({1}, 1 / gradient_scale, parameters[0]->options()));
      at::_fused_sgd_(list(parameters), list(gradients), list(velocities), penalty, momentum, rate, 0, nesterov,
                      false, false, scale);
      return;
    }
    // Without momentum the fused update takes no velocities; ours are kept all the same.
    for (size_t i = 0; i < count; ++i) {
      at::add_out(result(velocities[i]), gradients[i]->mul_(gradient_scale), *parameters[i], penalty);
      parameters[i]->add_(*velocities[i], -rate);
    }
  });
}

}  // extern "C"
#pragma GCC visibility pop
