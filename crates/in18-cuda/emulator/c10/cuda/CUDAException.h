// In place of libtorch's header, which would ask for its part for GPUs.

#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>

#define C10_CUDA_CHECK(call)                              \
  do {                                                    \
    const cudaError_t code = (call);                      \
    if (code != cudaSuccess) {                            \
      throw std::runtime_error(cudaGetErrorString(code)); \
    }                                                     \
  } while (false)
#define C10_CUDA_KERNEL_LAUNCH_CHECK() C10_CUDA_CHECK(cudaGetLastError())
