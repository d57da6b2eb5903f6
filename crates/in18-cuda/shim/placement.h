// Results in planned memory, on GPUs: an allocator before libtorch's own that asks the hooks first.

#pragma once

#include <c10/cuda/CUDACachingAllocator.h>

#include "interface.h"

namespace in18 {

// Puts it in place. Once, before libtorch has used a GPU.
void install_placing(const in18_cuda_hooks& hooks);

// libtorch's own caching allocator.
c10::cuda::CUDACachingAllocator::CUDAAllocator& caching_allocator();

}  // namespace in18
