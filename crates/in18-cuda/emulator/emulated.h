// What kernels are compiled against when they run on the CPU: CUDA's words and functions, as far as `kernels/` uses them.
//
// It comes before all else in each of these files (`-include`), in place of what nvcc has built in. Types and their conversions
// are those of CUDA's own headers.

#pragma once

// One block runs at a time.
#define __shared__ static
#define __launch_bounds__(...)

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <functional>

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

using std::max;
using std::min;

// Of threads that take turns none sees another's writes late.
inline void __threadfence() {}
inline float __ldcg(const float* from) { return *from; }
inline float rsqrtf(float value) { return 1 / std::sqrt(value); }
inline unsigned atomicInc(unsigned* at, unsigned limit) {
  const unsigned old = *at;
  *at = old >= limit ? 0 : old + 1;
  return old;
}
void __syncthreads();

namespace in18 {

// Calls the kernel for every thread of every block. Blocks, and threads up to a barrier, come in an order by chance, which is
// another one each time.
void emulate(dim3 blocks, dim3 threads, const std::function<void()>& kernel);

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, cudaStream_t, Arguments... arguments) {
  emulate(blocks, threads, [=] { kernel(arguments...); });
}

}  // namespace in18
