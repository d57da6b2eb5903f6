// Pixels to the network's input, and the gradient of a residual sum.

#include "kernels.h"
#include "vectors.cuh"

#include <type_traits>

namespace in18 {
namespace {

// Three packs of results a thread, in which channels take turns alike in every thread.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    pixels_to_input(T* __restrict__ dst, const unsigned char* __restrict__ pixels, const float* __restrict__ scale,
                    const float* __restrict__ shift, size_t groups) {
  constexpr int kN = kWidth<T>;
  float scales[3], shifts[3];
  for (int channel = 0; channel < 3; ++channel) {
    scales[channel] = scale[channel];
    shifts[channel] = shift[channel];
  }
  const size_t stride = static_cast<size_t>(gridDim.x) * kThreads;
  for (size_t group = static_cast<size_t>(blockIdx.x) * kThreads + threadIdx.x; group < groups; group += stride) {
    const size_t first = group * 3 * kN;
    // As many bytes as there are values in a pack: 4 or 8.
    using Bytes = std::conditional_t<kN == 8, uint2, unsigned>;
    Bytes raw[3];
#pragma unroll
    for (int part = 0; part < 3; ++part) {
      raw[part] = *reinterpret_cast<const Bytes*>(pixels + first + part * kN);
    }
#pragma unroll
    for (int part = 0; part < 3; ++part) {
      Pack<T> out;
#pragma unroll
      for (int k = 0; k < kN; ++k) {
        const float value = reinterpret_cast<const unsigned char*>(&raw[part])[k];
        const int channel = (part * kN + k) % 3;
        out.values[k] = rounded<T>(fmaf(value, scales[channel], shifts[channel]));
      }
      store(dst + first + part * kN, out);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    masked_sum(T* dsrc, const T* dst, const T* a, const T* b, size_t packs) {
  constexpr int kN = kWidth<T>;
  const size_t stride = static_cast<size_t>(gridDim.x) * kThreads;
  for (size_t at = static_cast<size_t>(blockIdx.x) * kThreads + threadIdx.x; at < packs; at += stride) {
    const Pack<T> mask = load(dst + at * kN), left = load(a + at * kN), right = load(b + at * kN);
    Pack<T> out;
#pragma unroll
    for (int k = 0; k < kN; ++k) {
      const float sum = to_float(left.values[k]) + to_float(right.values[k]);
      out.values[k] = rounded<T>(to_float(mask.values[k]) > 0 ? sum : 0);
    }
    store(dsrc + at * kN, out);
  }
}

template <typename T>
void launch_normalize(void* dst, const unsigned char* pixels, const float* scale, const float* shift, size_t count,
                      int processors, cudaStream_t stream) {
  const size_t groups = count / kWidth<T>;
  launch(pixels_to_input<T>, blocks_for(groups, processors), kThreads, stream, static_cast<T*>(dst), pixels,
         scale, shift, groups);
}

template <typename T>
void launch_masked_sum(void* dsrc, const void* dst, const void* a, const void* b, size_t values, int processors,
                       cudaStream_t stream) {
  const size_t packs = values / kWidth<T>;
  launch(masked_sum<T>, blocks_for(packs, processors), kThreads, stream, static_cast<T*>(dsrc),
         static_cast<const T*>(dst), static_cast<const T*>(a), static_cast<const T*>(b), packs);
}

}  // namespace

void normalize(Type type, void* dst, const unsigned char* pixels, const float* scale, const float* shift, size_t count,
               int processors, cudaStream_t stream) {
  with_type(type, [&](auto value) {
    launch_normalize<decltype(value)>(dst, pixels, scale, shift, count, processors, stream);
  });
}

void sum_relu_backward(Type type, void* dsrc, const void* dst, const void* a, const void* b, size_t values,
                       int processors, cudaStream_t stream) {
  with_type(type, [&](auto value) { launch_masked_sum<decltype(value)>(dsrc, dst, a, b, values, processors, stream); });
}

}  // namespace in18
