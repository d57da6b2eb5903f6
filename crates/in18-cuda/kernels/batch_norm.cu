// Batch normalisation with the sum and the ReLU that follow it, and its gradients: what libtorch does in four passes over memory
// takes two here; and by given statistics, in one.

#include "kernels.h"
#include "sums.cuh"

namespace in18 {
namespace {

// Rows whose loads are under way at once in a thread.
constexpr int kUnroll = 4;

// Mean and inverse deviation of a batch's values; running statistics move on.
template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    statistics(const T* __restrict__ src, int rows, int channels, Statistics out, Workspace workspace) {
  constexpr int kN = kWidth<T>;
  const Place<T> place(channels);
  // Of values without their first: sums of squares of values far from zero would lose what matters.
  float first[kN], sum[kN] = {}, square[kN] = {};
  if (place.is_inside) {
    const Pack<T> pack = load(src + place.channel);
#pragma unroll
    for (int k = 0; k < kN; ++k) {
      first[k] = to_float(pack.values[k]);
    }
    for (int row = place.row; row < rows; row += kUnroll * place.stride) {
      Pack<T> packs[kUnroll];
#pragma unroll
      for (int i = 0; i < kUnroll; ++i) {
        const int at = row + i * place.stride;
        if (at < rows) {
          packs[i] = load(src + static_cast<size_t>(at) * channels + place.channel);
        }
      }
#pragma unroll
      for (int i = 0; i < kUnroll; ++i) {
        if (row + i * place.stride < rows) {
#pragma unroll
          for (int k = 0; k < kN; ++k) {
            const float value = to_float(packs[i].values[k]) - first[k];
            sum[k] += value;
            square[k] = fmaf(value, value, square[k]);
          }
        }
      }
    }
  }
  sum_over_rows<T>(sum, square, channels, workspace.partial, workspace.tickets, [&](int channel, float sums, float squares) {
    const float count = static_cast<float>(rows), shifted = sums / count;
    const float mean = shifted + to_float(src[channel]);
    const float difference = squares / count - shifted * shifted;
    // What is not a number stays none.
    const float variance = difference < 0 ? 0 : difference;
    out.mean[channel] = mean;
    out.inverse_deviation[channel] = rsqrtf(variance + out.epsilon);
    const float unbiased = rows > 1 ? variance * (count / (count - 1)) : 0;
    out.running_mean[channel] += out.momentum * (mean - out.running_mean[channel]);
    out.running_variance[channel] += out.momentum * (unbiased - out.running_variance[channel]);
  });
}

// dst = src · a + b, plus the addend, then ReLU.
template <typename T, bool kAdds, bool kRelu>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    normalize(T* dst, const T* src, const T* addend, int rows, int channels, Affine by) {
  constexpr int kN = kWidth<T>, kRows = kAdds ? kUnroll / 2 : kUnroll;
  const Place<T> place(channels);
  if (!place.is_inside) {
    return;
  }
  float scale[kN], shift[kN];
#pragma unroll
  for (int k = 0; k < kN; ++k) {
    const int channel = place.channel + k;
    const float inverse_deviation =
        by.variance != nullptr ? rsqrtf(by.variance[channel] + by.epsilon) : by.inverse_deviation[channel];
    scale[k] = by.gamma[channel] * inverse_deviation;
    shift[k] = fmaf(-by.mean[channel], scale[k], by.beta[channel]);
  }
  for (int row = place.row; row < rows; row += kRows * place.stride) {
    Pack<T> packs[kRows], addends[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int at = row + i * place.stride;
      if (at < rows) {
        packs[i] = load(src + static_cast<size_t>(at) * channels + place.channel);
        if (kAdds) {
          addends[i] = load(addend + static_cast<size_t>(at) * channels + place.channel);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int at = row + i * place.stride;
      if (at < rows) {
        Pack<T> out;
#pragma unroll
        for (int k = 0; k < kN; ++k) {
          float value = fmaf(to_float(packs[i].values[k]), scale[k], shift[k]);
          if (kAdds) {
            value += to_float(addends[i].values[k]);
          }
          // What is not a number stays none.
          out.values[k] = rounded<T>(kRelu && value <= 0 ? 0 : value);
        }
        store(dst + static_cast<size_t>(at) * channels + place.channel, out);
      }
    }
  }
}

// A gradient after ReLU's mask.
template <typename T, bool kRelu>
__device__ float passed(const Pack<T>& ddst, const Pack<T>& dst, int k) {
  return kRelu && !(to_float(dst.values[k]) > 0) ? 0 : to_float(ddst.values[k]);
}

// dgamma and dbeta.
template <typename T, bool kRelu>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    gradient_sums(const T* __restrict__ src, const T* __restrict__ dst, const T* __restrict__ ddst, int rows,
                  int channels, Gradients out, Workspace workspace) {
  constexpr int kN = kWidth<T>, kRows = 2;
  const Place<T> place(channels);
  float mean[kN], by_value[kN] = {}, plain[kN] = {};
  if (place.is_inside) {
#pragma unroll
    for (int k = 0; k < kN; ++k) {
      mean[k] = out.mean[place.channel + k];
    }
    for (int row = place.row; row < rows; row += kRows * place.stride) {
      Pack<T> values[kRows], masks[kRows], gradients[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const int at = row + i * place.stride;
        if (at < rows) {
          const size_t offset = static_cast<size_t>(at) * channels + place.channel;
          values[i] = load(src + offset);
          gradients[i] = load(ddst + offset);
          if (kRelu) {
            masks[i] = load(dst + offset);
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        if (row + i * place.stride < rows) {
#pragma unroll
          for (int k = 0; k < kN; ++k) {
            const float gradient = passed<T, kRelu>(gradients[i], masks[i], k);
            plain[k] += gradient;
            by_value[k] = fmaf(gradient, to_float(values[i].values[k]) - mean[k], by_value[k]);
          }
        }
      }
    }
  }
  sum_over_rows<T>(by_value, plain, channels, workspace.partial, workspace.tickets, [&](int channel, float dgamma, float dbeta) {
    out.dgamma[channel] = dgamma * out.inverse_deviation[channel];
    out.dbeta[channel] = dbeta;
  });
}

// dsrc = gamma · inverse deviation · (ddst − (dbeta + normalised src · dgamma) / rows)
template <typename T, bool kRelu>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    gradient_of_source(T* dsrc, const T* src, const T* dst, const T* ddst, int rows, int channels, Gradients by) {
  constexpr int kN = kWidth<T>, kRows = 2;
  const Place<T> place(channels);
  if (!place.is_inside) {
    return;
  }
  // dsrc = ddst · a + src · b + c
  float of_gradient[kN], of_value[kN], constant[kN];
#pragma unroll
  for (int k = 0; k < kN; ++k) {
    const int channel = place.channel + k;
    const float deviation = by.inverse_deviation[channel], count = static_cast<float>(rows);
    of_gradient[k] = by.gamma[channel] * deviation;
    of_value[k] = -of_gradient[k] * deviation * by.dgamma[channel] / count;
    constant[k] = -of_gradient[k] * by.dbeta[channel] / count - of_value[k] * by.mean[channel];
  }
  for (int row = place.row; row < rows; row += kRows * place.stride) {
    Pack<T> values[kRows], masks[kRows], gradients[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int at = row + i * place.stride;
      if (at < rows) {
        const size_t offset = static_cast<size_t>(at) * channels + place.channel;
        values[i] = load(src + offset);
        gradients[i] = load(ddst + offset);
        if (kRelu) {
          masks[i] = load(dst + offset);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int at = row + i * place.stride;
      if (at < rows) {
        Pack<T> out;
#pragma unroll
        for (int k = 0; k < kN; ++k) {
          const float gradient = passed<T, kRelu>(gradients[i], masks[i], k);
          const float rest = fmaf(to_float(values[i].values[k]), of_value[k], constant[k]);
          out.values[k] = rounded<T>(fmaf(gradient, of_gradient[k], rest));
        }
        store(dsrc + static_cast<size_t>(at) * channels + place.channel, out);
      }
    }
  }
}

Grid grid_of(int rows, int channels, int width, int processors) {
  const int packs = channels / width;
  Grid grid{1, 0, 0, 0};
  // 128 bytes side by side are as good as more, and leave each column's last block less to add up.
  while (grid.across < 8 && 2 * grid.across <= packs) {
    grid.across *= 2;
  }
  grid.down = kThreads / grid.across;
  grid.columns = (packs + grid.across - 1) / grid.across;
  const int blocks = (processors * kBlocksPerProcessor + grid.columns - 1) / grid.columns;
  // A thread with less to do than its loads at once does not pay for the sum over one chunk more.
  const int rows_of_a_chunk = grid.down * kUnroll;
  grid.chunks = std::max(1, std::min(blocks, (rows + rows_of_a_chunk - 1) / rows_of_a_chunk));
  return grid;
}

template <typename T>
Grid grid_of(const Rows& rows) {
  return grid_of(rows.rows, rows.channels, kWidth<T>, rows.processors);
}

template <typename T>
void normalized(void* dst, const void* src, const void* addend, const Rows& rows, const Affine& by, bool relu,
               cudaStream_t stream) {
  const Grid grid = grid_of<T>(rows);
  const auto kernel = addend != nullptr ? (relu ? normalize<T, true, true> : normalize<T, true, false>)
                                        : (relu ? normalize<T, false, true> : normalize<T, false, false>);
  launch(kernel, grid.blocks(), grid.threads(), stream, static_cast<T*>(dst), static_cast<const T*>(src),
         static_cast<const T*>(addend), rows.rows, rows.channels, by);
}

template <typename T>
void forward(void* dst, const void* src, const void* addend, const Rows& rows, const Statistics& statistics_of,
             const Affine& by, bool relu, const Workspace& workspace, cudaStream_t stream) {
  const Grid grid = grid_of<T>(rows);
  launch(statistics<T>, grid.blocks(), grid.threads(), stream, static_cast<const T*>(src), rows.rows, rows.channels,
         statistics_of, workspace);
  normalized<T>(dst, src, addend, rows, by, relu, stream);
}

template <typename T>
void backward(void* dsrc, const void* src, const void* dst, const void* ddst, const Rows& rows,
              const Gradients& gradients, const Workspace& workspace, cudaStream_t stream) {
  const Grid grid = grid_of<T>(rows);
  const auto *const x = static_cast<const T*>(src), *const y = static_cast<const T*>(dst);
  const auto* const dy = static_cast<const T*>(ddst);
  const auto sums = dst != nullptr ? gradient_sums<T, true> : gradient_sums<T, false>;
  launch(sums, grid.blocks(), grid.threads(), stream, x, y, dy, rows.rows, rows.channels, gradients, workspace);
  const auto rest = dst != nullptr ? gradient_of_source<T, true> : gradient_of_source<T, false>;
  launch(rest, grid.blocks(), grid.threads(), stream, static_cast<T*>(dsrc), x, y, dy, rows.rows, rows.channels,
         gradients);
}

}  // namespace

int pack_width(Type type) { return type == Type::kF32 ? 4 : 8; }

size_t workspace_floats(const Rows& rows, Type type) {
  const Grid grid = grid_of(rows.rows, rows.channels, pack_width(type), rows.processors);
  return size_t{2} * grid.chunks * rows.channels;
}

size_t workspace_tickets(const Rows& rows, Type type) {
  return grid_of(rows.rows, rows.channels, pack_width(type), rows.processors).columns;
}

void batch_norm(Type type, void* dst, const void* src, const void* addend, const Rows& rows,
                const Statistics& statistics_of, const Affine& by, bool relu, const Workspace& workspace,
                cudaStream_t stream) {
  with_type(type, [&](auto value) {
    forward<decltype(value)>(dst, src, addend, rows, statistics_of, by, relu, workspace, stream);
  });
}

void batch_norm_inference(Type type, void* dst, const void* src, const Rows& rows, const Affine& by, bool relu,
                          cudaStream_t stream) {
  with_type(type, [&](auto value) { normalized<decltype(value)>(dst, src, nullptr, rows, by, relu, stream); });
}

void batch_norm_backward(Type type, void* dsrc, const void* src, const void* dst, const void* ddst, const Rows& rows,
                         const Gradients& gradients, const Workspace& workspace, cudaStream_t stream) {
  with_type(type, [&](auto value) {
    backward<decltype(value)>(dsrc, src, dst, ddst, rows, gradients, workspace, stream);
  });
}

}  // namespace in18
