// Rows of channels, 16 bytes at a time, computed in fp32.
//
// Activations are (N, H, W, C) in memory: rows, one a pixel, of C values. A thread has the same few channels in all rows that it
// goes through, so what belongs to a channel stays in its registers; neighbouring threads have neighbouring channels.

#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels.h"
#include "launch.cuh"

namespace in18 {

constexpr int kThreads = 256;
// Blocks that a multiprocessor holds at a time, with 80 registers a thread: many loads under way in each count for more than
// many threads.
constexpr int kBlocksPerProcessor = 3;

// Values in 16 bytes.
template <typename T>
constexpr int kWidth = 16 / sizeof(T);

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ inline float to_float(__half value) { return __half2float(value); }

template <typename T>
__device__ T rounded(float value);
template <>
__device__ inline float rounded<float>(float value) {
  return value;
}
template <>
__device__ inline __nv_bfloat16 rounded<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}
template <>
__device__ inline __half rounded<__half>(float value) {
  return __float2half_rn(value);
}

// Calls what is generic over a type with a value of that type.
template <typename Generic>
void with_type(Type type, Generic&& generic) {
  switch (type) {
    case Type::kF32:
      return generic(float{});
    case Type::kBf16:
      return generic(__nv_bfloat16{});
    case Type::kF16:
      return generic(__half{});
  }
}

// 16 bytes of values.
template <typename T>
struct alignas(16) Pack {
  T values[kWidth<T>];
};

template <typename T>
__device__ inline Pack<T> load(const T* from) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  return reinterpret_cast<const Pack<T>&>(bits);
}

template <typename T>
__device__ inline void store(T* to, const Pack<T>& pack) {
  *reinterpret_cast<uint4*>(to) = reinterpret_cast<const uint4&>(pack);
}

// Blocks for so many threads that go through memory in strides, if there are more than the device holds.
inline unsigned blocks_for(size_t threads, int processors) {
  const size_t blocks = (threads + kThreads - 1) / kThreads, most = size_t{16} * processors;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

// A kernel's grid over rows and channels.
struct Grid {
  // Threads side by side, and one after another in a column of rows.
  int across, down;
  // Blocks.
  int columns, chunks;

  dim3 blocks() const { return dim3(columns, chunks); }
  dim3 threads() const { return dim3(across, down); }
};

// The channels and rows of a thread.
template <typename T>
struct Place {
  int channel, row, stride;
  bool is_inside;

  __device__ explicit Place(int channels)
      : channel(static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * kWidth<T>),
        row(static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y)),
        stride(static_cast<int>(gridDim.y * blockDim.y)),
        is_inside(channel < channels) {}
};

}  // namespace in18
