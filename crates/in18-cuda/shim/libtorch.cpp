#include "libtorch.h"

#include <ATen/Context.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

#include "placement.h"

namespace in18 {

Streams start_libtorch(int device, bool tf32, const in18_cuda_hooks& hooks) {
  install_placing(hooks);
  at::Context& context = at::globalContext();
  context.lazyInitDevice(c10::DeviceType::CUDA);
  const auto index = static_cast<c10::DeviceIndex>(device);
  c10::cuda::set_device(index);
  context.setAllowTF32CuBLAS(tf32);
  context.setAllowTF32CuDNN(tf32);
  // Of cuDNN's algorithms for a shape the fastest is chosen, by trial, among those that repeat themselves bit by bit.
  context.setBenchmarkCuDNN(true);
  context.setDeterministicCuDNN(true);
  return {c10::cuda::getDefaultCUDAStream(index), c10::cuda::getStreamFromPool(false, index)};
}

std::string libraries() { return "cuDNN " + std::to_string(at::detail::getCUDAHooks().versionRuntimeCuDNN()); }

Cached cached_memory(int device) {
  const auto stats = caching_allocator().getDeviceStats(static_cast<c10::DeviceIndex>(device));
  // Entry 0 of each is the sum over all kinds of pools.
  const auto &allocated = stats.allocated_bytes[0], &cached = stats.reserved_bytes[0];
  const auto bytes = [](int64_t value) { return static_cast<uint64_t>(std::max<int64_t>(value, 0)); };
  return {bytes(allocated.current), bytes(allocated.peak), bytes(cached.current), bytes(cached.peak)};
}

void empty_cache() { caching_allocator().emptyCache({0, 0}); }

}  // namespace in18
