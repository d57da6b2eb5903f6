// Two sums a channel over all rows, in an order that depends on nothing but the shape: results repeat themselves bit by bit.

#pragma once

#include "vectors.cuh"

namespace in18 {

// Adds up what the threads of all blocks have for a channel, and calls finish(channel, first, second) once for each. `partial`:
// two floats a channel and chunk; `tickets`: zeros, one a column, which are zeros again afterwards.
template <typename T, typename Finish>
__device__ void sum_over_rows(const float (&first)[kWidth<T>], const float (&second)[kWidth<T>], int channels,
                              float* partial, unsigned* tickets, const Finish& finish) {
  constexpr int kN = kWidth<T>;
  __shared__ float shared[2][kThreads * kN];
  const int width = static_cast<int>(blockDim.x) * kN, thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  const int base = static_cast<int>(blockIdx.x) * width;
  for (int k = 0; k < kN; ++k) {
    const int at = static_cast<int>(threadIdx.y) * width + static_cast<int>(threadIdx.x) * kN + k;
    shared[0][at] = first[k];
    shared[1][at] = second[k];
  }
  __syncthreads();
  for (int channel = thread; channel < width; channel += kThreads) {
    float sums[2] = {0, 0};
    for (int row = 0; row < static_cast<int>(blockDim.y); ++row) {
      sums[0] += shared[0][row * width + channel];
      sums[1] += shared[1][row * width + channel];
    }
    if (base + channel < channels) {
      float* const own = partial + 2 * static_cast<size_t>(blockIdx.y) * channels + base + channel;
      own[0] = sums[0];
      own[channels] = sums[1];
    }
  }
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (thread == 0) {
    is_last = atomicInc(&tickets[blockIdx.x], gridDim.y - 1) == gridDim.y - 1;
  }
  __syncthreads();
  if (!is_last) {
    return;
  }
  __threadfence();
  // The last block of a column adds up what all of them left: several threads a channel, each a share of the chunks.
  const int shares = max(1, kThreads / width), channel = thread % width, share = thread / width;
  float sums[2] = {0, 0};
  if (share < shares && base + channel < channels) {
    const int chunks = static_cast<int>(gridDim.y);
    // Several loads are under way at once.
    constexpr int kAtOnce = 8;
    for (int chunk = share; chunk < chunks; chunk += shares * kAtOnce) {
      float loaded[2][kAtOnce];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const int at = chunk + i * shares;
        const float* const theirs = partial + 2 * static_cast<size_t>(at) * channels + base + channel;
        loaded[0][i] = at < chunks ? __ldcg(theirs) : 0;
        loaded[1][i] = at < chunks ? __ldcg(theirs + channels) : 0;
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        sums[0] += loaded[0][i];
        sums[1] += loaded[1][i];
      }
    }
  }
  // All have read what they need of it.
  if (share < shares) {
    shared[0][share * width + channel] = sums[0];
    shared[1][share * width + channel] = sums[1];
  }
  __syncthreads();
  if (thread < width && base + thread < channels) {
    float all[2] = {0, 0};
    for (int part = 0; part < shares; ++part) {
      all[0] += shared[0][part * width + thread];
      all[1] += shared[1][part * width + thread];
    }
    finish(base + thread, all[0], all[1]);
  }
}

}  // namespace in18
