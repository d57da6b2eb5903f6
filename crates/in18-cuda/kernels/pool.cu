// Max pooling. Its gradient is gathered, not scattered: sums have one order, and nothing is set to zero first.

#include "kernels.h"
#include "vectors.cuh"

namespace in18 {
namespace {

// The places of a pack's maxima in their windows.
template <int kN>
struct alignas(kN) Places {
  unsigned char values[kN];
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    largest(T* __restrict__ dst, unsigned char* __restrict__ places, const T* __restrict__ src, Pool pool, int packs,
            size_t count) {
  constexpr int kN = kWidth<T>;
  const size_t stride = static_cast<size_t>(gridDim.x) * kThreads;
  for (size_t at = static_cast<size_t>(blockIdx.x) * kThreads + threadIdx.x; at < count; at += stride) {
    const int channel = static_cast<int>(at % packs) * kN;
    const size_t pixel = at / packs;
    const int column = static_cast<int>(pixel % pool.out_width);
    const int row = static_cast<int>(pixel / pool.out_width % pool.out_height);
    const size_t image = pixel / pool.out_width / pool.out_height;
    const int top = row * pool.stride - pool.padding, left = column * pool.stride - pool.padding;
    float best[kN];
    int where[kN] = {};
    bool is_first = true;
    for (int i = 0; i < pool.kernel; ++i) {
      for (int j = 0; j < pool.kernel; ++j) {
        const int h = top + i, w = left + j;
        if (h < 0 || h >= pool.height || w < 0 || w >= pool.width) {
          continue;
        }
        const Pack<T> pack = load(src + ((image * pool.height + h) * pool.width + w) * pool.channels + channel);
#pragma unroll
        for (int k = 0; k < kN; ++k) {
          const float value = to_float(pack.values[k]);
          // Of equal ones the first; what is not a number wins.
          if (is_first || value > best[k] || value != value) {
            best[k] = value;
            where[k] = i * pool.kernel + j;
          }
        }
        is_first = false;
      }
    }
    Pack<T> out;
    Places<kN> out_places;
#pragma unroll
    for (int k = 0; k < kN; ++k) {
      out.values[k] = rounded<T>(best[k]);
      out_places.values[k] = static_cast<unsigned char>(where[k]);
    }
    store(dst + at * kN, out);
    *reinterpret_cast<Places<kN>*>(places + at * kN) = out_places;
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    gathered(T* __restrict__ dsrc, const T* __restrict__ ddst, const unsigned char* __restrict__ places, Pool pool,
             int packs, size_t count) {
  constexpr int kN = kWidth<T>;
  const size_t stride = static_cast<size_t>(gridDim.x) * kThreads;
  for (size_t at = static_cast<size_t>(blockIdx.x) * kThreads + threadIdx.x; at < count; at += stride) {
    const int channel = static_cast<int>(at % packs) * kN;
    const size_t pixel = at / packs;
    const int column = static_cast<int>(pixel % pool.width) + pool.padding;
    const int row = static_cast<int>(pixel / pool.width % pool.height) + pool.padding;
    const size_t image = pixel / pool.width / pool.height;
    // The windows that lie over this pixel.
    const int first_row = max(0, (row - pool.kernel + pool.stride) / pool.stride);
    const int last_row = min(pool.out_height - 1, row / pool.stride);
    const int first_column = max(0, (column - pool.kernel + pool.stride) / pool.stride);
    const int last_column = min(pool.out_width - 1, column / pool.stride);
    float sum[kN] = {};
    for (int i = first_row; i <= last_row; ++i) {
      for (int j = first_column; j <= last_column; ++j) {
        const size_t window = ((image * pool.out_height + i) * pool.out_width + j) * pool.channels + channel;
        const Pack<T> pack = load(ddst + window);
        const auto where = *reinterpret_cast<const Places<kN>*>(places + window);
        const int own = (row - i * pool.stride) * pool.kernel + column - j * pool.stride;
#pragma unroll
        for (int k = 0; k < kN; ++k) {
          sum[k] += where.values[k] == own ? to_float(pack.values[k]) : 0;
        }
      }
    }
    Pack<T> out;
#pragma unroll
    for (int k = 0; k < kN; ++k) {
      out.values[k] = rounded<T>(sum[k]);
    }
    store(dsrc + at * kN, out);
  }
}

template <typename T>
void forward(void* dst, unsigned char* places, const void* src, const Pool& pool, cudaStream_t stream) {
  const int packs = pool.channels / kWidth<T>;
  const size_t count = static_cast<size_t>(pool.images) * pool.out_height * pool.out_width * packs;
  launch(largest<T>, blocks_for(count, pool.processors), kThreads, stream, static_cast<T*>(dst), places,
         static_cast<const T*>(src), pool, packs, count);
}

template <typename T>
void backward(void* dsrc, const void* ddst, const unsigned char* places, const Pool& pool, cudaStream_t stream) {
  const int packs = pool.channels / kWidth<T>;
  const size_t count = static_cast<size_t>(pool.images) * pool.height * pool.width * packs;
  launch(gathered<T>, blocks_for(count, pool.processors), kThreads, stream, static_cast<T*>(dsrc),
         static_cast<const T*>(ddst), places, pool, packs, count);
}

}  // namespace

void max_pool(Type type, void* dst, unsigned char* places, const void* src, const Pool& pool, cudaStream_t stream) {
  with_type(type, [&](auto value) { forward<decltype(value)>(dst, places, src, pool, stream); });
}

void max_pool_backward(Type type, void* dsrc, const void* ddst, const unsigned char* places, const Pool& pool,
                       cudaStream_t stream) {
  with_type(type, [&](auto value) { backward<decltype(value)>(dsrc, ddst, places, pool, stream); });
}

}  // namespace in18
