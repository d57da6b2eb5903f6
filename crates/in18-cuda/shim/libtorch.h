// What is asked of libtorch's part for GPUs. The emulator (`emulator/`) has answers of its own.

#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

#include "interface.h"

namespace in18 {

// Operations run on the first, batches arrive on the second.
struct Streams {
  cudaStream_t compute, copy;
};

// Bytes of a device that libtorch's allocator has given out, and those it has taken.
struct Cached {
  uint64_t allocated, max_allocated, cached, max_cached;
};

// Takes a device for this process. `tf32`: whether products of fp32 may be computed in TF32.
Streams start_libtorch(int device, bool tf32, const in18_cuda_hooks& hooks);

// The names and versions of what it computes with.
std::string libraries();

Cached cached_memory(int device);

// Gives back what the allocator holds in reserve.
void empty_cache();

}  // namespace in18
